package ani

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"callhall/call"
)

// Signer signs, in a city's name, the numbers of calls that it sends on. It is safe for many calls at once.
type Signer interface {
	// Sign returns the value of one Identity header in full form (RFC 8224 §4). No text of its errors has a number in it.
	Sign(o Onward) (string, error)
}

// Onward is what is to be signed of a call that goes on.
type Onward struct {
	At   time.Time
	Lend func(use func(number string)) // as Signed.Lend
	Dest string                        // whom the call goes on to: a number or a URI
	// Div is the number of ours that the call came to, when what it brought goes before (RFC 8946). Empty: the signature
	// stands alone, with Attest and OrigID (RFC 8588).
	Div    string
	Attest call.Attestation
	OrigID string // a UUID, always the same for what came over one trunk
}

// arrival is how a live call came, for the signature under which it goes on.
type arrival struct {
	trunk   call.TrunkID
	at      time.Time
	signed  bool           // it brought Identity headers
	passed  bool           // and they were right
	proof   IdentityHeader // the one of them that may go on; zero: none
	proofAt time.Time      // when that was signed
	dialled string         // the number of ours that it is for
}

// freshFor is for how long after it was made a call's own signature goes on with it. The next who checks it takes none
// that is older than a minute (RFC 8224 §6.2), and some of that is spent after it leaves us.
const freshFor = 45 * time.Second

// sign adds the signatures to a number that is shown, of a call that is going on. One whose signature is right, still
// fresh and fit for others to see takes it along, with ours behind it that says who sent it on. What came without one, or
// came longer ago, or by way of others whose numbers are in its signatures, gets one of ours alone. It attests no more than that the call came in through us (C, RFC 8588 §4): whose number it is
// a city cannot know. And where what came was wrong or could not be checked, ours would only cover that up.
func (v *Vault) sign(o Outgoing, s *Shown) {
	signer, l := v.cfg.Signers[o.City], v.live.find(o.City, o.Call)
	if signer == nil || l == nil || o.Dialled == "" || s.Anonymous || s.Number.form != formFull {
		return
	}
	came, order := l.came, Onward{At: v.cfg.Now().UTC().Truncate(time.Second), Lend: l.Number.lend, Dest: o.Dialled}
	var signatures []IdentityHeader
	switch {
	case came.signed && !came.passed:
		return
	case len(came.proof.sealed) > 0 && order.At.Sub(came.proofAt) < freshFor:
		order.Div, signatures = came.dialled, []IdentityHeader{came.proof}
	default:
		order.Attest, order.OrigID = call.AttestGateway, originID(o.City, came.trunk)
	}
	ours, err := signer.Sign(order)
	if err != nil {
		v.cfg.Log.Warn("call goes on without a signature", "call", o.Call, "err", err)
		return
	}
	s.Identity, s.SignedAt = append(signatures, SealIdentityHeader(ours)), order.At
}

// originID is the UUID under which a city can find the trunk that a call came by, when its signature is traced back
// (RFC 8588 §5). Nobody else learns the trunk from it.
func originID(city call.CityID, trunk call.TrunkID) string {
	u := sha256.Sum256(fmt.Appendf(nil, "callhall origin %q %q", city, trunk))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // version 8, our own way (RFC 9562 §5.8)
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// IdentityHeader is the value of an Identity header, whose token names the caller, sealed as a Number is. Only its length
// shows. The zero IdentityHeader is none.
type IdentityHeader struct {
	discreet
	sealed []byte // 16 random bytes, then the value under AES-CTR
}

// SealIdentityHeader seals a value.
func SealIdentityHeader(value string) IdentityHeader {
	if value == "" {
		return IdentityHeader{}
	}
	box := make([]byte, 16+len(value))
	rand.Read(box[:16])
	cipher.NewCTR(processKey(), box[:16]).XORKeyStream(box[16:], []byte(value))
	return IdentityHeader{sealed: box}
}

// Reveal returns the value, or "" for none. It belongs into the request that it was decided for, and nowhere else.
func (h IdentityHeader) Reveal() string {
	if len(h.sealed) <= 16 {
		return ""
	}
	plain := make([]byte, len(h.sealed)-16)
	cipher.NewCTR(processKey(), h.sealed[:16]).XORKeyStream(plain, h.sealed[16:])
	return string(plain)
}
