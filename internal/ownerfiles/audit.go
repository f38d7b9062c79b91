package ownerfiles

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// AuditLine is one entry of a device's audit chain.
type AuditLine struct {
	Seq    uint64 `json:"seq"`
	At     uint64 `json:"at"` // uptime in seconds
	Boot   string `json:"boot"`
	Kind   string `json:"kind"`
	Order  string `json:"order,omitempty"` // digest
	Denied uint64 `json:"denied"`
}

// Audit lists what is in the audit chain of an image; nil if the policy has no
// area for one. It takes the device's secret to tell entries from what somebody
// put there. missing says what is not there: its beginning is, once its owner let
// go of that. Whether the chain is whole is for the health of the device to say,
// whose vault remembers the newest entry.
func Audit(ctx context.Context, mem nvm.NVM, ks keystore.Secrets, p *policy.Policy) (list []AuditLine, missing []string, err error) {
	var area *policy.Area
	for i := range p.Memory.Hidden {
		if p.Memory.Hidden[i].Kind == policy.Audit {
			area = &p.Memory.Hidden[i]
		}
	}
	if area == nil {
		return nil, nil, nil
	}
	w, err := nvm.NewWindow(mem, area.Span)
	if err != nil {
		return nil, nil, err
	}
	key, err := ks.Derive(ctx, "audit-mac")
	if err != nil {
		return nil, nil, err
	}
	log, _, err := vault.OpenAudit(ctx, w, key, vault.AuditOptions{})
	if err != nil {
		return nil, nil, err
	}
	list = []AuditLine{}
	for e, err := range log.All() {
		if errors.Is(err, vault.ErrLost) {
			missing = append(missing, err.Error())
			continue
		}
		if err != nil {
			return list, missing, err
		}
		a := device.ReadAudit(e)
		line := AuditLine{Seq: a.Seq, At: a.At, Boot: hex.EncodeToString(a.Boot[:]), Kind: a.Kind, Denied: a.Denied}
		if a.Order != ([32]byte{}) {
			line.Order = hex.EncodeToString(a.Order[:])
		}
		list = append(list, line)
	}
	return list, missing, ctx.Err()
}
