package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// Every register of the privacy office is served in the same four ways: a page of it, one entry, a new entry, and an act
// on an entry. What is of one register stands in a file of its own.

// bodyOf is an answer that is one T.
type bodyOf[T any] struct{ Body T }

// pageOf is a page of a register.
type pageOf[T any] struct {
	Body struct {
		Data       []T    `json:"data" nullable:"false" doc:"Newest first."`
		NextCursor string `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

// newOf is a request to enter an N. A number in it is sealed while it is read.
type newOf[N any] struct {
	Key  string `header:"Idempotency-Key" maxLength:"128" pattern:"^[A-Za-z0-9._:-]*$" patternDescription:"letters, digits and . _ : -" doc:"Of a request that may be sent again: the second one finds what the first has entered."`
	Body N
}

// newForCall is a request to enter an N about a call.
type newForCall[N any] struct {
	ID   call.ID `path:"id" pattern:"^cl_[2-7a-z]{26}$" patternDescription:"the id of a call"`
	Key  string  `header:"Idempotency-Key" maxLength:"128" pattern:"^[A-Za-z0-9._:-]*$" patternDescription:"letters, digits and . _ : -" doc:"Of a request that may be sent again: the second one finds what the first has entered."`
	Body N
}

// ofEntry names one entry of a register.
type ofEntry struct {
	ID string `path:"id" pattern:"^[a-z]{2,3}_[2-7a-z]{26}$" patternDescription:"an id"`
}

// ofCall names one call.
type ofCall struct {
	ID call.ID `path:"id" pattern:"^cl_[2-7a-z]{26}$" patternDescription:"the id of a call"`
}

// pager reads a page of a register, newest first, from below the entry after.
type pager[T any] func(ctx context.Context, city call.CityID, after string, limit int) ([]T, error)

// person is who makes the request, as the privacy office knows people: one who holds an agent's token and another under the
// same name is one person there.
func (v visit) person() ani.Person {
	return ani.Person{Actor: v.token.Actor(), Holder: v.token.Name, Role: ani.Role(v.token.Role), Agent: v.token.Agent}
}

// created says that op answers 201.
func created(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusCreated
	return op
}

// entersIn serves a route that enters an N. The office finds a retried request by its key.
func entersIn[N, T any](c *Console, api huma.API, op huma.Operation, enter func(ctx context.Context, city call.CityID, n N, key string, by ani.Person) (T, error)) {
	huma.Register(api, created(op), func(ctx context.Context, in *newOf[N]) (*bodyOf[T], error) {
		v := visitOf(ctx)
		entry, err := enter(ctx, v.token.City, in.Body, in.Key, v.person())
		return answered(ctx, c, op, entry, err)
	})
}

// entersForCall serves a route that enters an N about a call.
func entersForCall[N, T any](c *Console, api huma.API, op huma.Operation, enter func(ctx context.Context, city call.CityID, id call.ID, n N, key string, by ani.Person) (T, error)) {
	huma.Register(api, created(op), func(ctx context.Context, in *newForCall[N]) (*bodyOf[T], error) {
		v := visitOf(ctx)
		entry, err := enter(ctx, v.token.City, in.ID, in.Body, in.Key, v.person())
		return answered(ctx, c, op, entry, err)
	})
}

// actsOn serves a route that does something with an entry.
func actsOn[T any](c *Console, api huma.API, op huma.Operation, act func(ctx context.Context, city call.CityID, id string, by ani.Person) (T, error)) {
	huma.Register(api, op, func(ctx context.Context, in *ofEntry) (*bodyOf[T], error) {
		v := visitOf(ctx)
		entry, err := act(ctx, v.token.City, in.ID, v.person())
		return answered(ctx, c, op, entry, err)
	})
}

// shows serves a route that shows an entry.
func shows[T any](c *Console, api huma.API, op huma.Operation, get func(ctx context.Context, city call.CityID, id string) (T, error)) {
	actsOn(c, api, op, func(ctx context.Context, city call.CityID, id string, _ ani.Person) (T, error) {
		return get(ctx, city, id)
	})
}

// lists serves a route that lists a register.
func lists[T any](c *Console, api huma.API, op huma.Operation, page pager[T], id func(T) string) {
	huma.Register(api, op, func(ctx context.Context, in *struct{ Paging }) (*pageOf[T], error) {
		return listed(ctx, c, op, in.Paging, page, id, func(T) bool { return true })
	})
}

// listed is the page of a register that p asks for, of the entries that fit.
func listed[T any](ctx context.Context, c *Console, op huma.Operation, p Paging, page pager[T], id func(T) string, fits func(T) bool) (*pageOf[T], error) {
	found, err := gather(ctx, page, id, fits, p.Cursor, p.Limit+1)
	if err != nil {
		return nil, c.failOffice(ctx, op, err)
	}
	out := &pageOf[T]{}
	if len(found) > p.Limit {
		found = found[:p.Limit]
		out.Body.NextCursor = id(found[p.Limit-1])
	}
	out.Body.Data = append([]T{}, found...)
	return out, nil
}

// officePage is how many entries are read at a time where some may not fit.
const officePage = 200

// entryForm is the form of an entry's id, which is what the cursor of a register is.
var entryForm = regexp.MustCompile(`^[a-z]{3}_[2-7a-z]{26}$`)

// gather reads a register from below the entry after until n entries fit, or there are no more.
func gather[T any](ctx context.Context, page pager[T], id func(T) string, fits func(T) bool, after string, n int) (all []T, err error) {
	if after != "" && !entryForm.MatchString(after) {
		return nil, ErrCursor
	}
	for {
		found, err := page(ctx, visitOf(ctx).token.City, after, officePage)
		if errors.Is(err, ani.ErrNotFound) {
			return nil, ErrCursor
		}
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if !fits(e) {
				continue
			}
			if all = append(all, e); len(all) == n {
				return all, nil
			}
		}
		if len(found) < officePage {
			return all, nil
		}
		after = id(found[len(found)-1])
	}
}

// answered is what comes of an act of the office.
func answered[T any](ctx context.Context, c *Console, op huma.Operation, entry T, err error) (*bodyOf[T], error) {
	if err != nil {
		return nil, c.failOffice(ctx, op, err)
	}
	return &bodyOf[T]{Body: entry}, nil
}

// failOffice is fail for what the office, the switchboard and the ledger say. What they cannot do for want of something
// else can be tried again: nothing was given out.
func (c *Console) failOffice(ctx context.Context, op huma.Operation, err error) error {
	if errors.Is(err, ani.ErrTooMany) {
		return capReached.problem(ctx, http.StatusTooManyRequests, capOf(err))
	}
	if said := faultOf(err); said != (Fault{}) {
		return problem(ctx, statusOf(err), said)
	}
	if statusOf(err) == http.StatusInternalServerError {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return c.fail(ctx, op.OperationID, err)
}
