package ani

import (
	"context"
	"strings"
	"time"

	"callhall/call"
)

// Verifier checks the signatures of a call (RFC 8224).
type Verifier interface {
	// Verify says what the signatures are worth. It may wait for a certificate, for as long as it thinks right. With no
	// signature that could be checked it answers VerstatNone.
	Verify(ctx context.Context, s Signed) Verified
}

// Signed is what a Verifier gets to see of a call.
type Signed struct {
	Identity []string // the Identity headers
	Date     string
	At       time.Time                // when the call came
	Caller   func(number string) bool // tells whether that is who is calling
	// Lend runs use once with the number that is calling, without "+", or not at all where there is none, and returns when
	// use has: the compact form of a signature has no number in it. use keeps nothing.
	Lend    func(use func(number string))
	Dialled []string
}

// Verified is what the signatures of a call came to. Nothing in it is anybody's number.
type Verified struct {
	Verstat  call.Verstat
	Attest   call.Attestation
	Why      string // in a word: small letters and hyphens, "ok" where Verstat is passed
	Diverted bool   // the call was sent on to us, and whoever did so has signed for it (RFC 8946)
	Dialled  int    // which of Signed.Dialled they say was called
	// Onward is which of Signed.Identity, counted from 1, may go on with the call: it has been verified and names nobody
	// but the caller and Signed.Dialled. 0: none may.
	Onward   int
	SignedAt time.Time // when that one was signed
}

// wordPassed is Verified.Why of a call whose signature is right.
const wordPassed = "ok"

// word is s where it is a word as the ledger takes it, and otherwise none: nothing that looks like a number gets by.
func word(s string) string {
	if len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return ""
	}
	return s
}

// checked is what a live call keeps of a Verified, for the ledger.
type checked struct {
	why      string
	diverted bool
}

// verify takes the word of the signatures instead of the carrier's, where there are any. What it returns is for the
// signatures under which the call may go on.
func (v *Vault) verify(ctx context.Context, in Incoming, h *held) arrival {
	came := arrival{trunk: in.Trunk, at: v.cfg.Now(), signed: len(in.Headers.Identity) > 0}
	if v.cfg.Verifier == nil || !came.signed {
		return came
	}
	s := v.cfg.Verifier.Verify(ctx, Signed{Identity: in.Headers.Identity, Date: in.Headers.Date, At: came.at, Dialled: in.Dialled,
		Caller: h.Number.is, Lend: h.Number.lend})
	h.Verstat, h.Attest, h.proved = s.Verstat, s.Attest, checked{word(s.Why), s.Diverted}
	came.passed = s.Verstat == call.VerstatPassed && s.Dialled >= 0 && s.Dialled < len(in.Dialled)
	if came.passed && s.Onward > 0 && s.Onward <= len(in.Headers.Identity) {
		came.dialled = in.Dialled[s.Dialled]
		came.proof, came.proofAt = SealIdentityHeader(in.Headers.Identity[s.Onward-1]), s.SignedAt
	}
	return came
}

// is tells whether digits are this number's, and leaves nothing of it behind.
func (n Number) is(digits string) bool {
	if n.IsZero() {
		return false
	}
	turn(n.sealed[:])
	plain := n.sealed[16:]
	same := string(plain[1:1+min(plain[0], maxDigits)]) == digits
	clear(n.sealed[:])
	return same
}

// lend runs use with the digits of n, if there are any.
func (n Number) lend(use func(number string)) {
	if digits := n.open(); digits != "" {
		use(digits)
	}
}
