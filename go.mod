module github.com/nanolock/nanolock

go 1.26
