package stir

import (
	"slices"

	"callhall/call"
)

// A route is what must verify for a caller to be believed: one token that names the caller, shaken or of the base kind,
// and, where the call was sent on, the div tokens that lead from the number it names to one of ours, in that order.
type route []*token

// routes lists every way from a token that names the caller to one of the numbers dialled, the strongest attestation
// first: each signature stands for itself, and a weaker one beside it takes nothing away.
func routes(tokens []*token, dialled []string) []route {
	var roots, divs []*token
	for _, t := range tokens {
		if t.kind == kindDiv {
			divs = append(divs, t)
		} else {
			roots = append(roots, t)
		}
	}
	slices.SortStableFunc(roots, func(a, b *token) int { return strength(b.attest) - strength(a.attest) })
	var all []route
	for _, root := range roots {
		if root.compact() || meet(root.dest, dialled) {
			all = append(all, route{root})
		} else if tail := trail(root.dest, divs, dialled); tail != nil {
			all = append(all, append(route{root}, tail...))
		}
	}
	return all
}

func strength(a call.Attestation) int {
	switch a {
	case call.AttestFull:
		return 3
	case call.AttestPartial:
		return 2
	case call.AttestGateway:
		return 1
	default:
		return 0
	}
}

// trail finds the div tokens that lead from whoever was called first to one of the numbers dialled (RFC 8946 §4.2): the
// first says that the call was sent on by one of from, each next one by whom the last sent it to. The shortest is taken;
// nil where there is none. Each token is entered once, so that headers in a circle cost no more than others.
func trail(from []string, divs []*token, dialled []string) []*token {
	type step struct {
		at   []string
		path []*token
	}
	entered := map[*token]bool{}
	for open := []step{{at: from}}; len(open) > 0; open = open[1:] {
		for _, d := range divs {
			if entered[d] || !slices.Contains(open[0].at, d.div) {
				continue
			}
			entered[d] = true
			path := append(slices.Clone(open[0].path), d)
			if meet(d.dest, dialled) {
				return path
			}
			open = append(open, step{d.dest, path})
		}
	}
	return nil
}

// onward is the token that may go on. Of a call that was sent on to us none may: its first token, and each div token, has a
// number that is neither the caller's nor ours. Nor may the compact form, which only holds beside the Date that it came with.
func (r route) onward(dialled []string) Onward {
	t := r[0]
	if len(r) > 1 || !t.bare || slices.ContainsFunc(t.dest, func(d string) bool { return !slices.Contains(dialled, d) }) {
		return Onward{}
	}
	return Onward{t.place, t.iat}
}

// meet tells whether the two lists have something in common.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
