package ani

import "testing"

// What is for somebody outside the city is for those whom the consent names, and for nobody else: also by a consent that an
// earlier version let in without a name.
func TestConsentThatNamesNobodyIsForNobody(t *testing.T) {
	for _, c := range []struct {
		parties []string
		party   string
		purpose Purpose
		named   bool
	}{
		{nil, "Anybody Inc.", PurposeMarketing, false},
		{nil, "", PurposeDisclosure, false},
		{nil, "Ben Gray", PurposeSubjectRights, false},
		{[]string{""}, "", PurposeDisclosure, false},
		{[]string{"Gas Works"}, "", PurposeDisclosure, false},
		{[]string{"Gas Works"}, "Water Works", PurposeMarketing, false},
		{[]string{"Water Works", "Gas Works"}, " gas works ", PurposeMarketing, true},
		{nil, "", PurposeNotice, true},
		{[]string{"Gas Works"}, "", PurposeNotice, false},
	} {
		if got := namesParty(c.parties, c.party, namesWhom(c.purpose)); got != c.named {
			t.Errorf("%q for %s by a consent that names %q: %t", c.party, c.purpose, c.parties, got)
		}
	}
}
