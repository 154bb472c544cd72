package ani

import (
	"fmt"

	"callhall/call"
)

// held is what the vault keeps of one caller, sealed.
type held struct {
	Identity
	trust  Trust   // of the trunk it came by
	proved checked // of a live call alone: the ledger has it, and no row needs it
}

// rowBlock is the size of what a row seals, in bytes, whatever is in it: more than the most that there can be.
const rowBlock = 384

// A block is a list of fields, each a tag, a length and that many bytes; tag 0 ends it. A reader skips what it does not
// know.
const (
	tagNumber   = 1
	tagName     = 2
	tagISUB     = 3
	tagCharge   = 4
	tagRedirect = 5 // flags, then the digits; once for each, in order
	tagPrivacy  = 6
	tagCategory = 7
	tagAttest   = 8
	tagSource   = 9
	tagTrust    = 10
)

// block writes what is personal in h. The caller clears it.
func (h held) block() []byte {
	b := make([]byte, 0, rowBlock)
	add := func(tag byte, value string) {
		if value != "" {
			b = append(append(b, tag, byte(len(value))), value...)
		}
	}
	add(tagNumber, h.Number.open())
	add(tagName, h.Name.open())
	add(tagISUB, h.ISUB.open())
	add(tagCharge, h.Charge.open())
	for _, r := range h.Redirected[:min(len(h.Redirected), maxRedirects)] {
		add(tagRedirect, string([]byte{bits(r.Private)})+r.Number.open())
	}
	add(tagPrivacy, string([]byte{byte(h.Privacy)}))
	add(tagCategory, string(h.Category))
	add(tagAttest, string(h.Attest))
	add(tagSource, string(h.Source))
	add(tagTrust, string([]byte{bits(h.trust.Identity, h.trust.RemoteParty, h.trust.Charge, h.trust.Retarget)}))
	if len(b) > rowBlock {
		panic(fmt.Sprintf("ani: a row needs %d bytes", len(b))) // the sum of the longest of each is less
	}
	return b[:rowBlock]
}

// read is the reverse of block. Errors: ErrDamaged.
func (h *held) read(b []byte) error {
	for len(b) > 0 && b[0] != 0 {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return ErrDamaged
		}
		h.field(b[0], string(b[2:2+int(b[1])]))
		b = b[2+int(b[1]):]
	}
	return nil
}

func (h *held) field(tag byte, value string) {
	switch tag {
	case tagNumber:
		h.Number = seal(value)
	case tagName:
		h.Name = sealText(value)
	case tagISUB:
		h.ISUB = sealText(value)
	case tagCharge:
		h.Charge = seal(value)
	case tagRedirect:
		h.Redirected = append(h.Redirected, Redirect{Private: value[0] != 0, Number: seal(value[1:])})
	case tagPrivacy:
		h.Privacy = Privacy(value[0])
	case tagCategory:
		h.Category = Category(value)
	case tagAttest:
		h.Attest = call.Attestation(value)
	case tagSource:
		h.Source = Source(value)
	case tagTrust:
		h.trust = Trust{value[0]&1 != 0, value[0]&2 != 0, value[0]&4 != 0, value[0]&8 != 0}
	}
}

// bits packs flags, the first lowest.
func bits(flags ...bool) (b byte) {
	for i, set := range flags {
		if set {
			b |= 1 << i
		}
	}
	return b
}
