package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// policy is by which terms a city decides now.
type policy struct {
	Policy  string           `json:"policy" doc:"The version of the terms."`
	Profile ani.ProfileState `json:"profile"`
}

// newProfile proposes other terms.
type newProfile struct {
	Profile ani.Profile `json:"profile" maxLength:"64"`
}

// question is a tuple of the terms, in the words that the ledger has for it. What is left out is the usual: nothing that
// would permit more.
type question struct {
	Purpose   ani.Purpose   `json:"purpose" maxLength:"64"`
	Recipient ani.Recipient `json:"recipient" maxLength:"64"`
	Relation  ani.Relation  `json:"relation,omitempty" maxLength:"64" doc:"Of the recipient to the call."`
	Privacy   string        `json:"privacy,omitempty" enum:"none,restricted" doc:"What the caller asked for."`
	Number    string        `json:"number,omitempty" enum:"none,held"`
	Law       string        `json:"law,omitempty" enum:"none,protected"`
	Consent   ani.Consent   `json:"consent,omitempty" maxLength:"64"`
	Process   ani.Process   `json:"process,omitempty" maxLength:"64"`
	Profile   ani.Profile   `json:"profile,omitempty" maxLength:"64" doc:"The city's own where it is left out."`
	Tariff    bool          `json:"tariff,omitempty" doc:"The city charges for calls."`
	Narrowed  bool          `json:"narrowed,omitempty" doc:"The city's settings forbid it."`
	Verstat   call.Verstat  `json:"verstat,omitempty" enum:"passed,failed,none"`
}

// policyRoutes puts the routes of a city's terms into the API.
func (c *Console) policyRoutes(api huma.API) {
	office := c.deps.Office
	huma.Register(api, operation(http.MethodGet, "/policy", "The terms that decide about callers' numbers"), c.getPolicy)
	explain := operation(http.MethodPost, "/policy/explain", "What the terms decide, and why")
	explain.Description = "Nothing is released and nothing is written down."
	huma.Register(api, explain, c.explainPolicy)
	entersIn(c, api, operation(http.MethodPost, "/policy/proposals", "Propose another profile of the terms"),
		func(ctx context.Context, city call.CityID, n newProfile, key string, by ani.Person) (ani.ProfileEntry, error) {
			return office.ProposeProfile(ctx, city, n.Profile, key, by)
		})
	lists(c, api, operation(http.MethodGet, "/policy/proposals", "What was proposed, and what became of it"), office.Profiles,
		func(p ani.ProfileEntry) string { return p.ID })
	actsOn(c, api, operation(http.MethodPost, "/policy/proposals/{id}/approve", "Approve a profile, as the second person"), office.ApproveProfile)
	actsOn(c, api, operation(http.MethodPost, "/policy/proposals/{id}/refuse", "Refuse a profile, as the second person"), office.RefuseProfile)
}

func (c *Console) getPolicy(ctx context.Context, _ *struct{}) (*bodyOf[policy], error) {
	return &bodyOf[policy]{policy{ani.PolicyVersion, c.deps.Office.Profile(visitOf(ctx).token.City)}}, nil
}

func (c *Console) explainPolicy(ctx context.Context, in *struct{ Body question }) (*bodyOf[ani.Explanation], error) {
	q := in.Body.filled(c.deps.Office.Profile(visitOf(ctx).token.City).Effective)
	if err := q.check(ctx); err != nil {
		return nil, err
	}
	return &bodyOf[ani.Explanation]{ani.Explain(q.tuple())}, nil
}

// filled is q with the usual in the place of what was left out.
func (q question) filled(profile ani.Profile) question {
	usual(&q.Relation, ani.RelationNone)
	usual(&q.Consent, ani.ConsentNone)
	usual(&q.Process, ani.ProcessNone)
	usual(&q.Profile, profile)
	usual(&q.Verstat, call.VerstatNone)
	return q
}

func usual[S ~string](field *S, instead S) {
	if *field == "" {
		*field = instead
	}
}

// check says which word of q the terms do not know.
func (q question) check(ctx context.Context) error {
	for _, err := range []error{known(ctx, "purpose", q.Purpose, ani.Purposes()), known(ctx, "recipient", q.Recipient, ani.Recipients()),
		known(ctx, "relation", q.Relation, ani.Relations()), known(ctx, "consent", q.Consent, ani.Consents()),
		known(ctx, "process", q.Process, ani.Processes()), known(ctx, "profile", q.Profile, ani.Profiles())} {
		if err != nil {
			return err
		}
	}
	return nil
}

func known[S ~string](ctx context.Context, field string, word S, words []S) error {
	if slices.Contains(words, word) {
		return nil
	}
	var names []string
	for _, w := range words {
		names = append(names, string(w))
	}
	return invalid(ctx, "body."+field, "must be one of "+strings.Join(names, ", "))
}

// tuple is q for the terms. A caller of whom nothing is said wants privacy, and has a number.
func (q question) tuple() ani.Tuple {
	return ani.Tuple{Purpose: q.Purpose, Recipient: q.Recipient, Relation: q.Relation, Open: q.Privacy == "none", Held: q.Number != "none",
		Protected: q.Law == "protected", Consent: q.Consent, Process: q.Process, Profile: q.Profile, Tariff: q.Tariff, Narrowed: q.Narrowed,
		Verstat: q.Verstat}
}
