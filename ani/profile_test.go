package ani_test

import (
	"testing"

	"callhall/ani"
	"callhall/call"
)

func TestProfileTakesTwoPeople(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	if got := p.Profile(city); got != (ani.ProfileState{Effective: ani.ProfileCard, Approved: ani.ProfileCard}) {
		t.Errorf("without an entry: %+v", got)
	}
	e := ok(p.ProposeProfile(t.Context(), city, ani.ProfileNYC, "", dana))(t)
	p.said(t, ani.KindProfile, map[string]string{"entry": e.ID, "act": "proposed", "profile": "nyc-3.3"})
	for _, by := range []ani.Person{dana, danaAgain} {
		_, err := p.ApproveProfile(t.Context(), city, e.ID, by)
		fails(t, by.Actor, err, ani.ErrSecondPerson)
	}
	_, err := p.ApproveProfile(t.Context(), city, e.ID, omar)
	fails(t, "the operator approves", err, ani.ErrNotPermitted)
	if got := p.Profile(city).Effective; got != ani.ProfileCard {
		t.Errorf("proposed: %s", got)
	}
	ok(p.ApproveProfile(t.Context(), city, e.ID, sam))(t)
	p.said(t, ani.KindProfile, map[string]string{"entry": e.ID, "act": "approved", "profile": "nyc-3.3", "proposed_by": dana.Actor})
	p.told(t, ani.NoticeProfile, e.ID)
	for range 2 {
		if p.Profile(city).Effective != ani.ProfileNYC || p.Profile(other).Effective != ani.ProfileCard {
			t.Errorf("approved: %+v, another city %+v", p.Profile(city), p.Profile(other))
		}
		p.restart(t)
	}
	_, err = p.ApproveProfile(t.Context(), city, e.ID, paul)
	fails(t, "approve it again", err, ani.ErrState)
	_, err = p.ApproveProfile(t.Context(), other, e.ID, sam)
	fails(t, "another city", err, ani.ErrNotFound)

	back := ok(p.ProposeProfile(t.Context(), city, ani.ProfileCard, "", paul))(t)
	ok(p.RefuseProfile(t.Context(), city, back.ID, dana))(t)
	if got := p.Profile(city).Effective; got != ani.ProfileNYC {
		t.Errorf("refused: %s", got)
	}
}

func TestProposingAProfileIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	_, err := p.ProposeProfile(t.Context(), city, "open", "", dana)
	fails(t, "an unknown one", err, ani.ErrIncomplete)
	for _, by := range []ani.Person{ana, sam, rita, omar} {
		_, err := p.ProposeProfile(t.Context(), city, ani.ProfileNYC, "", by)
		fails(t, by.Actor, err, ani.ErrNotPermitted)
	}
}

// The configuration narrows at once what two people approved, and widens nothing.
func TestConfiguredProfileOnlyNarrows(t *testing.T) {
	for wanted, want := range map[ani.Profile][2]ani.Profile{ // before and after nyc-3.3 was approved
		"":                      {ani.ProfileCard, ani.ProfileNYC},
		ani.ProfileNYC:          {ani.ProfileCard, ani.ProfileNYC},
		ani.ProfileCard:         {ani.ProfileCard, ani.ProfileCard},
		ani.ProfileNoThirdParty: {ani.ProfileNoThirdParty, ani.ProfileNoThirdParty},
		"misspelt":              {ani.ProfileNoThirdParty, ani.ProfileNoThirdParty},
	} {
		p := newPrivacyOffice(t, ani.OfficeConfig{})
		p.profiles = map[call.CityID]ani.Profile{city: wanted}
		p.restart(t)
		before := p.Profile(city).Effective
		p.wide(t)
		if after := p.Profile(city).Effective; before != want[0] || after != want[1] {
			t.Errorf("%q: %s, and then %s; want %v", wanted, before, after, want)
		}
	}
}
