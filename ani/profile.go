package ani

import (
	"context"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindProfile is the leaf of a city's choice of terms: proposed, approved, refused.
const KindProfile = "ani.profile/1"

const registerProfiles Kind = "profile"

// keepProfile is how long a choice of terms is kept: as long as anybody may ask by which terms something was decided.
const keepProfile = 100 * 365 * 24 * time.Hour

// ProfileEntry is a city's choice of terms as it is shown.
type ProfileEntry struct {
	ID       string     `json:"id"`
	State    string     `json:"state" enum:"proposed,approved,refused"`
	Profile  Profile    `json:"profile"`
	Proposed *Signature `json:"proposed"`
	Second   *Signature `json:"second,omitempty"` // who approved or refused
}

// ProfileState is the terms that a city has now, and why.
type ProfileState struct {
	Effective Profile `json:"effective"`
	Approved  Profile `json:"approved"`             // by two people; card where there is no entry
	Wanted    Profile `json:"configured,omitempty"` // by the configuration, which can only narrow
}

type profileBody struct {
	origin
	Profile Profile   `json:"profile"`
	Second  signature `json:"second"`
}

const (
	profileProposed = "proposed"
	profileApproved = "approved"
	profileRefused  = "refused"
)

// ProposeProfile proposes another profile for the city. Nothing changes until somebody else approves it. Errors:
// ErrNotPermitted, ErrIncomplete, ErrReused.
func (o *Office) ProposeProfile(ctx context.Context, city call.CityID, p Profile, key string, by Person) (ProfileEntry, error) {
	if err := permit(by, RolePrivacy); err != nil {
		return ProfileEntry{}, fmt.Errorf("propose a profile: %w", err)
	}
	if !slices.Contains(Profiles(), p) {
		return ProfileEntry{}, fmt.Errorf("propose a profile: %w: it is one of %s", ErrIncomplete, joined(Profiles()))
	}
	k := kept[profileBody]{Entry: Entry{City: city, ID: entryID("pfl", city, by, key), State: profileProposed, At: o.now(), DueAt: o.now().Add(keepProfile)},
		Body: profileBody{origin: origin{o.sign(by), fingerprint(p, Number{})}, Profile: p}}
	k, err := enter(ctx, o, o.profiles, k, KindProfile, by, map[string]string{"entry": k.ID, "act": profileProposed, "profile": string(p)})
	if err != nil {
		return ProfileEntry{}, fmt.Errorf("propose a profile: %w", err)
	}
	return shownProfile(k), nil
}

// ApproveProfile is the second person's yes: the profile holds from then on. Errors: ErrNotPermitted, ErrSecondPerson,
// ErrState, ErrNotFound.
func (o *Office) ApproveProfile(ctx context.Context, city call.CityID, id string, by Person) (ProfileEntry, error) {
	return o.judgeProfile(ctx, city, id, by, profileApproved)
}

// RefuseProfile is the second person's no. Errors as ApproveProfile.
func (o *Office) RefuseProfile(ctx context.Context, city call.CityID, id string, by Person) (ProfileEntry, error) {
	return o.judgeProfile(ctx, city, id, by, profileRefused)
}

func (o *Office) judgeProfile(ctx context.Context, city call.CityID, id string, by Person, to string) (ProfileEntry, error) {
	if err := permit(by, RolePrivacy, RoleSupervisor); err != nil {
		return ProfileEntry{}, fmt.Errorf("judge a profile: %w", err)
	}
	k, err := change(ctx, o, o.profiles, city, id, KindProfile, by, func(k *kept[profileBody]) (map[string]string, error) {
		if err := second(by, k.Body.By); err != nil {
			return nil, err
		}
		if k.State == to && k.Body.Second.Actor == by.Actor {
			return nil, nil
		}
		if k.State != profileProposed {
			return nil, ErrState
		}
		k.State, k.Body.Second = to, o.sign(by)
		return map[string]string{"act": to, "profile": string(k.Body.Profile), "proposed_by": k.Body.By.Actor}, nil
	})
	if err != nil {
		return ProfileEntry{}, fmt.Errorf("judge a profile: %w", err)
	}
	if err := o.loadProfile(ctx, city); err != nil {
		return ProfileEntry{}, fmt.Errorf("judge a profile: take it up: %w", err)
	}
	if err := o.notify(ctx, city, notice{about: NoticeProfile, ref: id}, by); err != nil {
		return ProfileEntry{}, fmt.Errorf("judge a profile: %w", err)
	}
	return shownProfile(k), nil
}

// loadProfile takes up the profile that was approved last.
func (o *Office) loadProfile(ctx context.Context, city call.CityID) error {
	defer o.locks.lock(registerProfiles, city, "")() // who reads later, knows more: one after the other
	var last kept[profileBody]
	err := through(ctx, o.profiles, city, func(k kept[profileBody]) bool {
		if k.State == profileApproved && k.Body.Second.At.After(last.Body.Second.At) {
			last = k
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	o.desk.set(city, func(s *standing) { s.approved, s.read.profile = last.Body.Profile, true })
	return nil
}

// Profile tells which terms a city has.
func (o *Office) Profile(city call.CityID) ProfileState {
	o.desk.mu.RLock()
	approved := ProfileCard
	if s := o.desk.cities[city]; s != nil {
		approved = approvedOf(s.approved)
	}
	o.desk.mu.RUnlock()
	return ProfileState{Effective: o.desk.profile(city), Approved: approved, Wanted: o.desk.wanted[city]}
}

// Profiles lists what was proposed, newest first, from below the entry after.
func (o *Office) Profiles(ctx context.Context, city call.CityID, after string, limit int) ([]ProfileEntry, error) {
	return paged(ctx, o.profiles, city, after, limit, shownProfile)
}

func shownProfile(k kept[profileBody]) ProfileEntry {
	return ProfileEntry{ID: k.ID, State: k.State, Profile: k.Body.Profile, Proposed: k.Body.By.shown(), Second: k.Body.Second.shown()}
}
