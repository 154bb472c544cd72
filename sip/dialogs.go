package sip

import (
	"sync"

	"github.com/emiago/sipgo/sip"
)

// dialogs finds the leg that a request within a dialog is for. The Call-ID and our own tag, which is random and ours
// alone, name it; the far side's tag is compared by the dialog once it is known (RFC 3261 §12.2.2).
type dialogs struct {
	mu   sync.RWMutex
	legs map[dialogKey]party
}

type dialogKey struct{ callID, localTag string }

// A party is a leg of this package, of either kind.
type party interface {
	common() *leg
	farewell() // the far side has hung up
}

func newDialogs() *dialogs { return &dialogs{legs: map[dialogKey]party{}} }

func (d *dialogs) add(p party) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.legs[p.common().dialog.key()] = p
}

// remove forgets l. It may be called twice.
func (d *dialogs) remove(l *leg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.legs, l.dialog.key())
}

// find returns the leg that req is for, nil when there is none.
func (d *dialogs) find(req *sip.Request) party {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.legs[dialogKey{string(*req.CallID()), tagOf(req.To().Params)}]
}

func (d *dialogs) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.legs)
}

// tagOf is the tag among the parameters of a From or To.
func tagOf(params sip.HeaderParams) string { return params.GetOr("tag", "") }
