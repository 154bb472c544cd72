package ledger

import (
	"regexp"
	"strings"
	"time"
	"unicode"
)

// shortestNumber is how many digits a telephone number has at least: seven, a local number of the North American plan.
const shortestNumber = 7

var (
	idForm   = regexp.MustCompile(`^[a-z]{2,8}_[a-z2-7]{26}$`)
	hexForm  = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$`)
	unitForm = regexp.MustCompile(`_(?:bytes|seconds|ms|ns|frames|samples|packets|chunks|index|size|count)$`)
	quantity = regexp.MustCompile(`^[0-9]{1,19}$`)
)

// mayBeTelephone is the last net under the rule that a leaf holds no digits of a caller's number: it catches a number
// that was put into a fact by mistake, in any usual spelling. It would rather refuse too much. A value passes when it is
// wholly a time or a date of RFC 3339, an id of ours (call.NewID), a lower-case hexadecimal digest, or a plain quantity
// under a name that ends in its unit. Anything else may not have seven or more digits that follow each other with at
// most three separators between two of them.
func mayBeTelephone(name, value string) bool {
	if len(value) < shortestNumber || exempt(name, value) {
		return false
	}
	digits, gap := 0, 0
	for _, r := range value {
		switch {
		case unicode.IsDigit(r):
			digits++
			gap = 0
		case gap < 3 && separates(r):
			gap++
		default:
			digits, gap = 0, 0
		}
		if digits >= shortestNumber {
			return true
		}
	}
	return false
}

func exempt(name, value string) bool {
	if idForm.MatchString(value) || hexForm.MatchString(value) {
		return true
	}
	if unitForm.MatchString(name) && quantity.MatchString(value) {
		return true
	}
	if _, err := time.Parse(time.RFC3339Nano, value); err == nil {
		return true
	}
	_, err := time.Parse(time.DateOnly, value)
	return err == nil
}

// separates tells whether r is written between the digits of one number.
func separates(r rune) bool {
	return strings.ContainsRune("+-.()/_*", r) || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || !unicode.IsPrint(r)
}
