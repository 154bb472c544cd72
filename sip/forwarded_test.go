package sip

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"callhall/ani"
	"callhall/call"
)

// cityNumbers are the entries of a trunk: two that can be dialled, and none else.
type cityNumbers struct{}

func (cityNumbers) Entry(_ call.TrunkID, dialled string) (Entry, error) {
	if dialled != "311" && dialled != "+12125550100" {
		return Entry{}, ErrUnknownEntry
	}
	return Entry{Number: dialled}, nil
}

func (cityNumbers) Own(call.TrunkID) []string { return []string{"311", "+12125550100"} }

// TestForwardedCallsFindWhomTheyWereFor: a call that was forwarded goes to the number of ours that was dialled first, from
// a trunk that is believed in that; nothing that a header says is an entry which the city does not have.
func TestForwardedCallsFindWhomTheyWereFor(t *testing.T) {
	const first, last = "History-Info: <sip:+12125550100@city.example>;index=1, <sip:311@city.example>;index=1.1\r\n", "Diversion: <tel:+12125550100>\r\n"
	whole := ani.Trust{Identity: true, Retarget: true}
	for _, test := range []struct {
		name, dialled, headers string
		trust                  ani.Trust
		want                   string // empty: nobody's
	}{
		{"not forwarded", "311", "", whole, "311"},
		{"forwarded between our numbers", "311", first, whole, "+12125550100"},
		{"forwarded, and said the old way", "311", last, whole, "+12125550100"},
		{"forwarded to a number that is nobody's here", "+12125550199", last, whole, "+12125550100"},
		{"forwarded to something that is no number", "a;b", last, whole, "+12125550100"},
		{"forwarded by somebody else", "311", "Diversion: <tel:+12125550142>\r\n", whole, "311"},
		{"forwarded by somebody else to nobody", "+12125550199", "Diversion: <tel:+12125550142>\r\n", whole, ""},
		{"a trunk that is not believed in that", "311", first, ani.Trust{Identity: true}, "311"},
		{"a trunk outside the trust domain", "311", first, ani.Trust{Retarget: true}, "311"},
		{"a trunk that is believed in nothing, nobody's number", "+12125550199", last, ani.Trust{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := parseRequest(t, fmt.Sprintf("INVITE sip:%s@city.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"+
				"From: <sip:a@b.example>;tag=1\r\nTo: <sip:311@city.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n%s\r\n", test.dialled, test.headers))
			s := &Server{deps: Deps{Entries: cityNumbers{}}, log: slog.New(slog.DiscardHandler)}
			entry, err := s.entry(req, Trunk{ID: "carrier", Trust: test.trust})
			if entry.Number != test.want || (test.want == "") != (err != nil) || err != nil && !errors.Is(err, ErrUnknownEntry) {
				t.Errorf("%q, %v; want %q", entry.Number, err, test.want)
			}
			if n := len(identityHeaders(req, whole).Diversion); test.headers == last && n != 1 {
				t.Errorf("the vault finds %d Diversion afterwards", n)
			}
		})
	}
}
