package ani

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callhall/call"
)

var (
	believed   = Trust{Identity: true}
	everything = Trust{Identity: true, RemoteParty: true, Charge: true, Retarget: true}
)

// reading is what a test wants to know of an Identity, opened.
type reading struct {
	Number, Name, ISUB, Charge string
	Status                     call.CallerStatus
	Source                     Source
	Private                    bool
	Verstat                    call.Verstat
	Attest                     call.Attestation
	Category                   Category
	Extra                      int
	Privacy                    string // values, joined by ";"
	Redirected                 string // numbers, joined by " ", each private one with "!" behind it
}

// read opens an identity. What is usual stays empty: that nothing is known of verstat, and no source.
func read(id Identity) reading {
	r := reading{Number: id.Number.open(), Name: id.Name.open(), ISUB: id.ISUB.open(), Charge: id.Charge.open(), Status: id.Status,
		Source: id.Source, Private: id.Private, Verstat: id.Verstat, Attest: id.Attest, Category: id.Category, Extra: id.Extra,
		Privacy: strings.Join(id.Privacy.Values(), ";")}
	if r.Source == SourceNone {
		r.Source = ""
	}
	if r.Verstat == call.VerstatNone {
		r.Verstat = ""
	}
	var numbers []string
	for _, d := range id.Redirected {
		text := d.Number.open()
		if d.Private {
			text += "!"
		}
		numbers = append(numbers, text)
	}
	r.Redirected = strings.Join(numbers, " ")
	return r
}

// full has every header of RULES 2.2 that may be read, each with a number of its own.
func full() Headers {
	return Headers{
		Asserted:    []string{`"Ana Gray" <sip:+12125550142;isub=7;cpc=payphone;verstat=TN-Validation-Passed-B@c.invalid;user=phone>`, "<tel:+12125550142>", "<tel:+12125550143>"},
		From:        []string{`"Front" <sip:+12125550144@c.invalid>;tag=1`},
		RemoteParty: []string{`"Remote" <sip:+12125550145@c.invalid>;party=calling;screen=yes;privacy=off`},
		ChargeInfo:  []string{"<sip:+12125550146@c.invalid;user=phone>;noa=3"},
		Diversion:   []string{"<tel:+12125550148>;reason=no-answer", "<tel:+12125550147>;reason=unconditional"},
		Verstat:     "TN-Validation-Passed-A",
		Identity:    []string{"e30.eyJvcmlnIjp7InRuIjoiMTIxMjU1NTAxNDkifX0.c2ln;info=<https://cr.example/1.pem>"},
		Date:        "Sun, 22 Nov 2026 09:00:00 GMT",
	}
}

// TestCells has a line for each cell of the table of identity headers that says what comes in: from a trunk that is
// trusted, and from anyone else.
func TestCells(t *testing.T) {
	history := []string{"<sip:+12125550150@c.invalid>;index=1,<sip:311@city.invalid>;index=1.1"}
	stranger := Trust{RemoteParty: true, Charge: true, Retarget: true}
	for name, c := range map[string]struct {
		trust  Trust
		change func(*Headers)
		want   reading
	}{
		"p-asserted-identity, trusted: the number; more than one tel and one sip are ignored": {believed, nil,
			reading{Number: "12125550142", Name: "Ana Gray", Status: call.CallerPresent, Source: SourceAsserted, Verstat: call.VerstatPassed,
				Attest: call.AttestPartial, Category: CategoryPayphone, Extra: 1}},
		"everything, anyone else: nothing": {stranger, func(h *Headers) { h.HistoryInfo = history },
			reading{Status: call.CallerUnavailable}},
		"from, trusted: the last resort": {believed, func(h *Headers) { h.Asserted, h.Verstat = nil, "" },
			reading{Number: "12125550144", Name: "Front", Status: call.CallerPresent, Source: SourceFrom}},
		"from, trusted: display name where the asserted identity has none": {believed, func(h *Headers) { h.Asserted, h.Verstat = []string{"tel:+12125550142"}, "" },
			reading{Number: "12125550142", Name: "Front", Status: call.CallerPresent, Source: SourceAsserted}},
		"from, anyone else: only an anonymous one counts, as a wish": {stranger, func(h *Headers) { h.From = []string{"<sip:anonymous@anonymous.invalid>"} },
			reading{Status: call.CallerUnavailable, Private: true}},
		"privacy, trusted: the set is kept": {believed, func(h *Headers) {
			h.Asserted, h.Verstat, h.Privacy = h.Asserted[1:2], "", []string{"history;id", "critical"}
		},
			reading{Number: "12125550142", Name: "Front", Status: call.CallerWithheld, Source: SourceAsserted, Private: true, Privacy: "critical;id;history"}},
		"privacy, anyone else: the restrictive values hold": {stranger, func(h *Headers) { h.Privacy = []string{"session"} },
			reading{Status: call.CallerUnavailable, Private: true, Privacy: "session"}},
		"privacy, anyone else: none asks for nothing": {stranger, func(h *Headers) { h.Privacy = []string{"none"} },
			reading{Status: call.CallerUnavailable, Privacy: "none"}},
		"p-charge-info, trusted with it: who is billed, and not who calls": {Trust{Identity: true, Charge: true}, func(h *Headers) { h.Asserted, h.From, h.Verstat = nil, nil, "" },
			reading{Charge: "12125550146", Status: call.CallerUnavailable}},
		"p-charge-info, not trusted with it": {believed, func(h *Headers) { h.Asserted, h.From, h.Verstat = nil, nil, "" },
			reading{Status: call.CallerUnavailable}},
		"diversion, trusted with it: the first one dialled comes first": {Trust{Identity: true, Retarget: true}, func(h *Headers) { *h = Headers{Diversion: h.Diversion} },
			reading{Status: call.CallerUnavailable, Redirected: "12125550147 12125550148"}},
		"history-info, trusted with it: goes before diversion": {Trust{Identity: true, Retarget: true}, func(h *Headers) { *h = Headers{Diversion: h.Diversion, HistoryInfo: history} },
			reading{Status: call.CallerUnavailable, Redirected: "12125550150 311"}},
		"diversion and history-info, not trusted with them": {Trust{Identity: true, RemoteParty: true, Charge: true}, func(h *Headers) { *h = Headers{Diversion: h.Diversion, HistoryInfo: history} },
			reading{Status: call.CallerUnavailable}},
		"remote-party-id, the trunk's profile says so": {Trust{Identity: true, RemoteParty: true}, func(h *Headers) { h.Asserted, h.Verstat = nil, "" },
			reading{Number: "12125550145", Name: "Remote", Status: call.CallerPresent, Source: SourceRemoteParty}},
		"remote-party-id, it does not": {believed, func(h *Headers) { *h = Headers{RemoteParty: h.RemoteParty} },
			reading{Status: call.CallerUnavailable}},
		"remote-party-id, never before the asserted identity": {Trust{Identity: true, RemoteParty: true}, func(h *Headers) { h.Asserted, h.Verstat = h.Asserted[2:], "" },
			reading{Number: "12125550143", Name: "Remote", Status: call.CallerPresent, Source: SourceAsserted}},
		"verstat, trusted: its header with the number's parameter": {believed, func(h *Headers) { h.Asserted = []string{"<tel:+12125550142;verstat=TN-Validation-Failed>"} },
			reading{Number: "12125550142", Name: "Front", Status: call.CallerPresent, Source: SourceAsserted, Verstat: call.VerstatFailed}},
		"verstat, anyone else: as if there were none": {stranger, func(h *Headers) { h.Asserted = nil }, reading{Status: call.CallerUnavailable}},
		"identity: a signature is not read here, and its number is nobody's": {believed, func(h *Headers) { *h = Headers{Identity: h.Identity, Date: h.Date} },
			reading{Status: call.CallerUnavailable}},
		"cpc and ani information digits, trusted": {believed, func(h *Headers) { *h = Headers{From: []string{"<sip:+12125550144@c.invalid;isup-oli=29>"}} },
			reading{Number: "12125550144", Status: call.CallerPresent, Source: SourceFrom, Category: CategoryPrison}},
		"cpc and ani information digits, anyone else": {stranger, func(h *Headers) { h.From = []string{"<sip:+12125550144;cpc=prison@c.invalid;isup-oli=29>"} },
			reading{Status: call.CallerUnavailable}},
		"nothing at all": {everything, func(h *Headers) { *h = Headers{} }, reading{Status: call.CallerUnavailable}},
	} {
		h := full()
		if c.change != nil {
			c.change(&h)
		}
		if diff := cmp.Diff(c.want, read(ParseIdentity(h, c.trust))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// TestNeverGuessed: a header that says who calls settles it, whatever others there are (RFC 8496 §5.2.1, D42).
func TestNeverGuessed(t *testing.T) {
	others := full()
	others.HistoryInfo = []string{"<tel:+12125550150>;index=1"}
	for asserted, want := range map[string]call.CallerStatus{
		"<sip:anonymous@anonymous.invalid>": call.CallerWithheld, "<sip:restricted@c.invalid>": call.CallerWithheld,
		"<sip:unavailable@unknown.invalid>": call.CallerUnavailable, "<sip:c.invalid>": call.CallerUnavailable,
		"<sip:ana@c.invalid>": call.CallerInvalid, "<tel:911>": call.CallerInvalid, "garbage": call.CallerInvalid, "": call.CallerInvalid,
		"<sip:unknown@c.invalid>, <tel:911>": call.CallerInvalid,
	} {
		h := others
		h.Asserted = []string{asserted}
		if got := ParseIdentity(h, everything); got.Status != want || !got.Number.IsZero() || got.Source != SourceNone || got.Verstat != call.VerstatNone {
			t.Errorf("%s: %+v", asserted, got)
		}
	}
}

// TestContradictingParties is about what stands against each other in one header or in two.
func TestContradictingParties(t *testing.T) {
	const pai, other, from = "<tel:+12125550142>", "<sip:+12125550143@c.invalid>", `"x" <sip:+12125550144@c.invalid>;tag=1`
	const anonymous = `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`
	for name, c := range map[string]struct {
		h       Headers
		digits  string
		status  call.CallerStatus
		private bool
	}{
		"tel before sip":           {Headers{Asserted: []string{other + ", " + pai}}, "12125550142", call.CallerPresent, false},
		"two header fields":        {Headers{Asserted: []string{other, pai}}, "12125550142", call.CallerPresent, false},
		"second sip ignored":       {Headers{Asserted: []string{"<sip:ana@c.invalid>", other}}, "", call.CallerInvalid, false},
		"sip where tel is bad":     {Headers{Asserted: []string{"<tel:911>", other}}, "12125550143", call.CallerPresent, false},
		"broken beside good":       {Headers{Asserted: []string{"garbage, " + pai}}, "12125550142", call.CallerPresent, false},
		"privacy, number there":    {Headers{Asserted: []string{pai}, Privacy: []string{"id"}}, "12125550142", call.CallerWithheld, true},
		"privacy, number broken":   {Headers{Asserted: []string{"garbage"}, Privacy: []string{"id"}}, "", call.CallerWithheld, true},
		"privacy, nothing there":   {Headers{Privacy: []string{"id"}}, "", call.CallerWithheld, true},
		"anonymous from":           {Headers{Asserted: []string{pai}, From: []string{anonymous}}, "12125550142", call.CallerWithheld, true},
		"anonymous from, none":     {Headers{Asserted: []string{pai}, From: []string{anonymous}, Privacy: []string{"none"}}, "12125550142", call.CallerWithheld, true},
		"anonymous from only":      {Headers{From: []string{anonymous}}, "", call.CallerWithheld, true},
		"anonymous beside a tel":   {Headers{Asserted: []string{"<sip:anonymous@anonymous.invalid>", pai}}, "12125550142", call.CallerWithheld, true},
		"anonymous as the extra":   {Headers{Asserted: []string{pai, other, "<sip:anonymous@anonymous.invalid>"}}, "12125550142", call.CallerWithheld, true},
		"number, name held back":   {Headers{Asserted: []string{`"PRIVATE" ` + pai}}, "12125550142", call.CallerWithheld, true},
		"too long to be read":      {Headers{Asserted: []string{pai + strings.Repeat(" ", maxHeader)}}, "", call.CallerWithheld, true},
		"from too long to be read": {Headers{Asserted: []string{pai}, From: []string{from + strings.Repeat(" ", maxHeader)}}, "12125550142", call.CallerWithheld, true},
		"from garbage":             {Headers{From: []string{"garbage"}}, "", call.CallerInvalid, false},
	} {
		id := ParseIdentity(c.h, believed)
		if d := id.Number.open(); d != c.digits || id.Status != c.status || id.Private != c.private {
			t.Errorf("%s: %s %+v", name, d, id)
		}
	}
}

func TestRemoteParty(t *testing.T) {
	const number = "<sip:+12125550145@c.invalid>"
	for params, want := range map[string]reading{
		";party=calling;screen=yes":                  {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		";screen=yes":                                {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		"; Screen = YES ; Party = Calling":           {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		`;screen="yes"`:                              {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		";screen=yes;privacy=off":                    {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		";screen=yes;id-type=subscriber;np=ordinary": {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		"":                                             {Status: call.CallerUnavailable},
		";screen=no":                                   {Status: call.CallerUnavailable},
		";screen":                                      {Status: call.CallerUnavailable},
		";screen=yes;screen=no":                        {Status: call.CallerUnavailable},
		";screen=no;screen=yes":                        {Status: call.CallerUnavailable},
		";screen=yes-no":                               {Status: call.CallerUnavailable},
		";party=called;screen=yes":                     {Status: call.CallerUnavailable},
		";party=called;screen=yes;privacy=full":        {Status: call.CallerUnavailable},
		";party=redirecting;screen=yes":                {Status: call.CallerUnavailable},
		";screen=yes;privacy=full":                     {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy=name":                     {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy=uri":                      {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy=uri-network":              {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		`;screen=yes;privacy="off,name"`:               {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy=off;privacy=full":         {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy":                          {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=yes;privacy=whatever":                 {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		";screen=no;privacy=full":                      {Status: call.CallerWithheld, Private: true},
		";screen=no;party=calling;privacy=full;x=y;;=": {Status: call.CallerWithheld, Private: true},
	} {
		got := read(ParseIdentity(Headers{RemoteParty: []string{number + params}}, everything))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", params, diff)
		}
	}
	for value, want := range map[string]reading{
		`"Anonymous" <sip:+12125550145@c.invalid>;screen=yes`:                                  {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		"<sip:anonymous@anonymous.invalid>;screen=yes":                                         {Status: call.CallerWithheld, Private: true},
		"<sip:anonymous@anonymous.invalid>":                                                    {Status: call.CallerWithheld, Private: true},
		"<sip:unknown@c.invalid>;screen=yes":                                                   {Status: call.CallerUnavailable},
		"garbage;screen=yes":                                                                   {Status: call.CallerUnavailable},
		"<garbage>;screen=yes":                                                                 {Status: call.CallerInvalid},
		"<tel:+12125550146>;party=called;screen=yes, <tel:+12125550145>;screen=yes":            {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty},
		"<tel:+12125550145>;screen=yes, <sip:+12125550146@c.invalid>;privacy=full":             {Number: "12125550145", Status: call.CallerWithheld, Source: SourceRemoteParty, Private: true},
		"<tel:+12125550145>;screen=yes;cpc=prison":                                             {Number: "12125550145", Status: call.CallerPresent, Source: SourceRemoteParty, Category: CategoryPrison},
		"<tel:+12125550145>;screen=yes" + strings.Repeat(" ", maxHeader):                       {Status: call.CallerWithheld, Private: true},
		`"B, <sip:+12125550146@c.invalid>;screen=yes" <sip:+12125550145@c.invalid>;screen=yes`: {Number: "12125550145", Name: "B, <sip:+12125550146@c.invalid>;screen=yes", Status: call.CallerPresent, Source: SourceRemoteParty},
	} {
		if diff := cmp.Diff(want, read(ParseIdentity(Headers{RemoteParty: []string{value}}, everything))); diff != "" {
			t.Errorf("%.60s: -want +got\n%s", value, diff)
		}
	}
}

func TestCharge(t *testing.T) {
	for value, want := range map[string]string{
		"<sip:+12125550146@c.invalid;user=phone>": "12125550146", "<tel:+12125550146>": "12125550146", "tel:+1-212-555-0146": "12125550146",
		"<sip:+12125550146@c.invalid>;npi=ISDN;noa=2": "12125550146", "<sip:12125550146;npi=ISDN;noa=3@c.invalid>": "12125550146",
		"sip:2125550146@c.invalid": "12125550146", `"Billing" <sip:+12125550146@c.invalid>`: "12125550146",
		"<tel:911>, <tel:+12125550146>": "12125550146", "<tel:+12125550146>, <tel:+12125550147>": "12125550146",
		"<tel:5550146;phone-context=+1212>": "12125550146", "<sip:anonymous@anonymous.invalid>": "", "<sip:ana@c.invalid>": "", "": "", ";;": "",
		"<tel:911>": "", "<mailto:+12125550146@c.invalid>": "", "<tel:+12125550146" + strings.Repeat(" ", maxHeader) + ">": "",
	} {
		id := ParseIdentity(Headers{ChargeInfo: []string{value}}, everything)
		if got := id.Charge.open(); got != want || !id.Number.IsZero() || id.Status != call.CallerUnavailable || id.Source != SourceNone {
			t.Errorf("%.60s: charge %q, %+v", value, got, id)
		}
	}
}

func BenchmarkParseIdentity(b *testing.B) {
	h := full()
	b.Run("typical", func(b *testing.B) {
		typical := Headers{Asserted: h.Asserted[:2], From: h.From, Privacy: []string{"none"}}
		b.ReportAllocs()
		for b.Loop() {
			ParseIdentity(typical, believed)
		}
	})
	b.Run("everything", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ParseIdentity(h, everything)
		}
	})
}
