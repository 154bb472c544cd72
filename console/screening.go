package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// newScreen proposes to screen the caller of a call.
type newScreen struct {
	Call   call.ID          `json:"call" pattern:"^cl_[2-7a-z]{26}$" patternDescription:"the id of a call" doc:"Whose caller. A number that somebody types cannot be screened."`
	Reason ani.ScreenReason `json:"reason" enum:"harassment,flood,spam"`
	Why    string           `json:"why,omitempty" maxLength:"500" doc:"In words."`
	Until  time.Time        `json:"until" doc:"At most 30 days from now."`
}

// screenReview is what of a screened caller may be seen.
type screenReview struct {
	ani.ScreenReview
	Mask string `json:"mask,omitempty" doc:"Area code and last two digits, where the terms of the city show them."`
}

// screeningRoutes puts the routes of the screening list and of protected subjects into the API.
func (c *Console) screeningRoutes(api huma.API) {
	office := c.deps.Office
	entersIn(c, api, operation(http.MethodPost, "/screening", "Propose to screen the caller of a call"), c.proposeScreen)
	lists(c, api, operation(http.MethodGet, "/screening", "The screening list"), office.Screens, func(s ani.Screen) string { return s.ID })
	actsOn(c, api, operation(http.MethodPost, "/screening/{id}/confirm", "Confirm a line, as the second person"), office.ConfirmScreen)
	actsOn(c, api, operation(http.MethodPost, "/screening/{id}/review", "See who is screened, as far as the terms allow"), c.reviewScreen)
	actsOn(c, api, operation(http.MethodDelete, "/screening/{id}", "Take a line off the screening list"), office.EndScreen)

	entersIn(c, api, operation(http.MethodPost, "/protected", "Protect a subject whom a law protects"),
		func(ctx context.Context, city call.CityID, n ani.NewProtection, key string, by ani.Person) (ani.Protection, error) {
			n.Key = key
			return office.Protect(ctx, city, n, by)
		})
	lists(c, api, operation(http.MethodGet, "/protected", "Protected subjects, without any number"), office.Protections,
		func(p ani.Protection) string { return p.ID })
	lift := operation(http.MethodDelete, "/protected/{id}", "Lift a protection")
	lift.Description = "The first person proposes it, another one lifts it."
	actsOn(c, api, lift, office.LiftProtection)
}

func (c *Console) proposeScreen(ctx context.Context, city call.CityID, n newScreen, key string, by ani.Person) (ani.Screen, error) {
	s, err := c.deps.Office.ProposeScreen(ctx, city, ani.NewScreen{Key: key, Call: n.Call, Reason: n.Reason, Why: n.Why, Until: n.Until}, by)
	if errors.Is(err, ani.ErrNotFound) { // one sentence for all: which of them it is would tell whom a law protects
		err = problem(ctx, http.StatusNotFound, Fault{Location: "body.call", Message: "there is no such call, or none with a caller who can be screened"})
	}
	return s, err
}

func (c *Console) reviewScreen(ctx context.Context, city call.CityID, id string, by ani.Person) (screenReview, error) {
	r, err := c.deps.Office.ReviewScreen(ctx, city, id, by)
	return screenReview{r, r.Mask.Reveal()}, err
}
