package ani

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the longest Text, in bytes of UTF-8.
const maxText = 63

// Text is a name or a subaddress that came with a number, sealed as a Number is. Every Text has the same size, so that
// not even its length shows. The zero Text is none.
type Text struct {
	discreet
	sealed [16 + 1 + maxText]byte // 16 random bytes, then the length and the text under AES-CTR
}

// sealText keeps the first 63 bytes of s, whole characters only, without what cannot be seen.
func sealText(s string) (t Text) {
	s = trim(s)
	if s == "" {
		return Text{}
	}
	t.sealed[16] = byte(copy(t.sealed[17:], s))
	hide(t.sealed[:])
	return t
}

// open returns the text, or "" for none.
func (t Text) open() string {
	if t.IsZero() {
		return ""
	}
	turn(t.sealed[:])
	plain := t.sealed[16:]
	return string(plain[1 : 1+min(plain[0], maxText)])
}

// IsZero tells whether there is no text.
func (t Text) IsZero() bool { return t == Text{} }

// trim makes s fit into a Text.
func trim(s string) string {
	if strings.ContainsFunc(s, unseen) {
		s = strings.Map(func(r rune) rune {
			if unseen(r) {
				return -1
			}
			return r
		}, s)
	}
	s = strings.TrimSpace(s)
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimSpace(s[:cut])
}

// unseen tells whether r has no place in a name: it is broken, or it changes how what follows is shown.
func unseen(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
