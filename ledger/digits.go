package ledger

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"
)

var (
	// known are the things of ours that have digits: an id (call.NewID), a digest, a time or a date of RFC 3339, the
	// version that Go gives a build, an IPv4 address.
	known = regexp.MustCompile(`\b(?:[a-z]{2,8}_[a-z2-7]{26}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}` +
		`|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2}\b)` +
		`|[0-9]{4}-[0-9]{2}-[0-9]{2}\b|20[0-9]{12}-[0-9a-f]{12}\b|(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b)`)
	unitForm = regexp.MustCompile(`(?:^|_)(?:bytes|seconds|ms|ns|frames|samples|packets|chunks|index|size|count)$`)
	quantity = regexp.MustCompile(`^[0-9]{1,19}$`)
)

// mayBeTelephone is the last net under the rule that a leaf holds no digits of a caller's number: it catches a number
// that was put into a fact by mistake, in any usual spelling. FORMAT.md has the rule and its reasons.
func mayBeTelephone(name, value string) bool {
	if !hasNumber(value) || unitForm.MatchString(name) && quantity.MatchString(value) {
		return false
	}
	return hasNumber(known.ReplaceAllStringFunc(value, func(s string) string {
		if isKnown(s) {
			return "x"
		}
		return s
	}))
}

// isKnown looks closer at what only has the form of a date or of an address.
func isKnown(s string) bool {
	if strings.Count(s, ".") == 3 {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	if len(s) > 9 && s[4] == '-' {
		_, err := time.Parse(time.DateOnly, s[:10])
		return err == nil
	}
	return true
}

// hasNumber looks for a run of digits, with at most three separators between two of them, that is as long as a telephone
// number.
func hasNumber(value string) bool {
	var run digitRun
	for _, r := range value {
		switch {
		case unicode.IsDigit(r):
			run.digit()
		case run.gap < 3 && separates(r):
			run.separate(r)
		default:
			if run.isNumber() {
				return true
			}
			run = digitRun{}
		}
	}
	return run.isNumber()
}

// digitRun is a row of digits and what stands between them.
type digitRun struct {
	digits, gap int
	pieces      int  // runs of digits without separator
	global      bool // began with "+"
}

func (d *digitRun) digit() {
	if d.gap > 0 || d.digits == 0 {
		d.pieces++
	}
	d.digits++
	d.gap = 0
}

func (d *digitRun) separate(r rune) {
	if d.digits == 0 {
		d.global = d.global || r == '+'
		return
	}
	d.gap++
}

// isNumber lets eight or nine digits in one piece pass, which are a quantity: a local number of the North American plan
// has seven, a national one ten, and a longer one is international.
func (d *digitRun) isNumber() bool {
	if d.pieces == 1 && !d.global && (d.digits == 8 || d.digits == 9) {
		return false
	}
	return d.digits >= 7
}

// separates tells whether r is written between the digits of one number.
func separates(r rune) bool {
	return strings.ContainsRune("+-.()/_*", r) || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || !unicode.IsPrint(r)
}
