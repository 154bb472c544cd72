package ani

import (
	"errors"
	"strings"
	"unicode"
)

// ErrNotNumber says that what was entered is no telephone number. It does not repeat it.
var ErrNotNumber = errors.New("ani: not a telephone number; write it as +1 and ten digits, or with its country's code")

// maxEntered bounds what is read of something a person typed, in bytes.
const maxEntered = 128

// ParseNumber reads a number as people type and paste it: with or without country code, with spaces, hyphens, dots and
// brackets, after "tel:" or behind 011. Ten digits are a number of the North American plan. It never guesses: letters,
// extensions and short codes are refused. Errors: ErrNotNumber.
func ParseNumber(s string) (Number, error) {
	if len(s) > maxEntered {
		return Number{}, ErrNotNumber
	}
	s = strings.TrimSpace(strings.Map(plainest, s))
	if len(s) > 4 && strings.EqualFold(s[:4], "tel:") {
		s = s[4:]
	}
	digits, global, ok := strip(strings.TrimSpace(s))
	if abroad, dialled := strings.CutPrefix(digits, "011"); ok && !global && dialled {
		digits, global = abroad, true
	}
	if !global {
		digits = complete(digits, "")
	}
	if !ok || !callable(digits) {
		return Number{}, ErrNotNumber
	}
	return seal(digits), nil
}

// plainest turns what typewriters and address books put into numbers into what strip knows.
func plainest(r rune) rune {
	switch {
	case r < unicode.MaxASCII && r != '\t' && r != '\n' && r != '\r':
		return r
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212': // hyphens and dashes of every length, and the minus sign
		return '-'
	case unicode.Is(unicode.Cf, r): // marks of direction, which come with a number that is copied
		return -1
	case r >= '０' && r <= '９':
		return '0' + r - '０'
	case r == '＋':
		return '+'
	default:
		return r
	}
}

// canonical returns a number in E.164 order without "+", or "" when it is none that can be called. The context is what
// makes a local number whole; it may be empty.
func canonical(number, context string) string {
	digits, global, ok := strip(number)
	if !ok {
		return ""
	}
	if !global {
		digits = complete(digits, context)
	}
	if !callable(digits) {
		return ""
	}
	return digits
}

// callable tells whether digits can be somebody's number.
func callable(digits string) bool {
	if len(digits) < minDigits || len(digits) > maxDigits || digits[0] == '0' {
		return false
	}
	return digits[0] != '1' || northAmerican(digits)
}

// strip drops the visual separators of RFC 3966 §5.1.1, and spaces, which some carriers send.
func strip(s string) (digits string, global, ok bool) {
	s, global = strings.CutPrefix(s, "+")
	plain := make([]byte, 0, 32)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			plain = append(plain, c)
		case c == '-' || c == '.' || c == '(' || c == ')' || c == ' ':
		default:
			return "", false, false
		}
	}
	if len(plain) == len(s) {
		return s, global, s != ""
	}
	return string(plain), global, len(plain) > 0
}

// complete makes a local number global: by its phone-context when that is a country code or prefix (RFC 3966 §5.1.5),
// otherwise as a national number of the North American plan, with or without its leading 1.
func complete(digits, context string) string {
	if prefix, global, ok := strip(context); ok && global {
		if prefix == "1" && len(digits) == 11 {
			return digits
		}
		return prefix + digits
	}
	if len(digits) == 10 {
		return "1" + digits
	}
	if len(digits) == 11 && digits[0] == '1' {
		return digits
	}
	return ""
}

// northAmerican tells whether digits are 1, an area code and an exchange code of the North American plan, neither of
// which begins with 0 or 1, and four more.
func northAmerican(digits string) bool {
	return len(digits) == 11 && digits[0] == '1' && digits[1] >= '2' && digits[4] >= '2'
}
