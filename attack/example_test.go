package attack_test

import (
	"context"
	"fmt"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/internal/worlds"
	"github.com/nanolock/nanolock/policy"
)

// A policy that lets any host write the bootloader is enforced without a fault,
// and protects nothing. The run says which rule to change.
func ExampleRun() {
	image := worlds.NOR() // in real life: a copy of the firmware image in a backend
	image.Policy.Region("boot").Write = policy.Rule{Mode: policy.Any}

	trickboot, _ := attack.Find("trickboot")
	report, err := attack.Run(context.Background(), attack.Config{
		Policy:  image.Policy,
		Open:    image.Open,
		Attacks: []attack.Attack{trickboot}, // leave it out for all of them
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range report.Results {
		fmt.Println(r.Name, r.CWE, r.Verdict)
		if r.Breach != nil {
			fmt.Println(r.Breach.Rule)
			fmt.Println(r.Breach.Advice)
		}
	}
	// Output:
	// trickboot CWE-1233 beaten
	// region "boot": write: any
	// make write never or a grant
}
