package ani

import (
	"slices"
	"strconv"
	"strings"
)

// maxRedirects is how many numbers that were dialled before ours are kept: the first ones, which say whom the caller meant.
const maxRedirects = 8

// A Redirect is a number that was dialled before the call came to us: a third party's, or another one of the city's.
type Redirect struct {
	Number  Number // a short code such as 311 too, which no caller's number is
	Private bool   // its owner, or the caller, asked that it go no further
}

// DialledFirst tells which of own, the numbers and short codes of one trunk's cities, the caller dialled first, so that a
// call that was forwarded finds the desk it was meant for (RFC 7044 §1). It returns one of own, as it stands there, and
// nothing that a header said; "" is the normal case: there are no such headers, the trunk is not trusted with them, or
// nobody of ours was dialled before.
func DialledFirst(h Headers, t Trust, own []string) string {
	for _, r := range redirects(h, t.within()) {
		digits := r.Number.open()
		for _, number := range own {
			if dialledDigits(parseDialled(number)) == digits {
				return number
			}
		}
	}
	return ""
}

// parseDialled reads a number of ours as it is configured: "+12125550142", "311" or "311;phone-context=+1".
func parseDialled(s string) address {
	user, params, _ := strings.Cut(s, ";")
	return address{tel: true, user: user, number: params}
}

// dialledDigits is the number of a, or a short code as it is dialled, whatever area it holds in.
func dialledDigits(a address) string {
	if digits := a.digits(); digits != "" {
		return digits
	}
	if digits, global, ok := strip(a.user); ok && !global && len(digits) < minDigits {
		return digits
	}
	return ""
}

// redirects reads who was dialled, first things first. History-Info is asked before Diversion, which it replaced (RFC
// 7544 §1). What cannot be read and what is missing are no errors (RFC 7044 §11).
func redirects(h Headers, t Trust) []Redirect {
	if !t.Retarget {
		return nil
	}
	private := parsePrivacy(h.Privacy).Restricts()
	list := history(h.HistoryInfo, private)
	if list == nil {
		list = diversions(h.Diversion, private)
	}
	return list[:min(len(list), maxRedirects)]
}

// diversions reads Diversion, whose first value is the last that happened (RFC 5806 §3.1).
func diversions(values []string, private bool) (list []Redirect) {
	for a := range each(values) {
		digits := dialledDigits(a)
		if digits == "" {
			continue
		}
		asked, off := settled(a.field, ";", "privacy", "off")
		list = append(list, Redirect{seal(digits), private || a.anonymous() || asked && !off})
	}
	slices.Reverse(list)
	return list
}

// A step is one entry of History-Info with the place that its index gives it.
type step struct {
	Redirect
	index []int
}

// history reads History-Info in the order of its indexes, or as it stands where one has none.
func history(values []string, private bool) (list []Redirect) {
	var steps []step
	indexed := true
	for a := range each(values) {
		digits := dialledDigits(a)
		if digits == "" {
			continue
		}
		text, _ := lookup(a.field, ";", "index")
		index := indexOf(text)
		indexed = indexed && index != nil
		asked, none := settled(a.query, "&", "privacy", "none")
		steps = append(steps, step{Redirect{seal(digits), private || a.anonymous() || asked && !none}, index})
	}
	if indexed {
		slices.SortStableFunc(steps, func(a, b step) int { return slices.Compare(a.index, b.index) })
	}
	for _, s := range steps {
		list = append(list, s.Redirect)
	}
	return list
}

// indexOf reads "1.2.1" (RFC 7044 §10.3); nil is none that can be read.
func indexOf(text string) (index []int) {
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil
		}
		index = append(index, n)
	}
	return index
}
