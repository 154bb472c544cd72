package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"callhall/call"
	"callhall/cdr"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Search is what calls may be searched by. A caller's number is not among it (RULES.md D36).
// It is exported for huma, which looks into no other embedded structs.
type Search struct {
	From       time.Time `query:"from" doc:"Arrived at this time or later."`
	To         time.Time `query:"to" doc:"Arrived before this time."`
	Queue      string    `query:"queue" maxLength:"64"`
	Agent      string    `query:"agent" maxLength:"64" doc:"The last agent who spoke with the caller."`
	End        string    `query:"end" maxLength:"32" doc:"How the call ended, for instance abandoned."`
	Recording  string    `query:"recording" enum:"none,kept,failed" doc:"What became of the recording."`
	MinWaiting int       `query:"min_waiting_s" minimum:"0" maximum:"86400" doc:"Waited at least this many seconds."`
	MinTalking int       `query:"min_talking_s" minimum:"0" maximum:"86400" doc:"Talked at least this many seconds."`
}

// Paging asks for one page of a list.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

// callsAnswer is a page of calls.
type callsAnswer struct {
	Body struct {
		Data       []call.Record `json:"data" nullable:"false" doc:"Newest first."`
		NextCursor string        `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

// callAnswer is one call.
type callAnswer struct{ Body call.Record }

// callRoutes puts the routes of call records into the API.
func (c *Console) callRoutes(api huma.API) {
	list := operation(http.MethodGet, "/calls", "Find calls")
	list.Description = "An agent sees their own calls of today; the others see the city's. No answer has a caller's number."
	huma.Register(api, list, c.listCalls)
	huma.Register(api, operation(http.MethodGet, "/calls/{id}", "One call, with its timeline"), c.getCall)
	export := operation(http.MethodGet, "/calls/export", "Calls as CSV or JSON Lines")
	huma.Register(api, answering(export, "A file", "text/csv", "application/jsonl"), c.exportCalls)
}

func (c *Console) listCalls(ctx context.Context, in *struct {
	Search
	Paging
}) (*callsAnswer, error) {
	f, err := c.filter(ctx, in.Search)
	if err != nil {
		return nil, err
	}
	found, err := c.deps.Calls.List(ctx, visitOf(ctx).token.City, f, in.Cursor, in.Limit)
	if err != nil {
		return nil, c.fail(ctx, "list calls", err)
	}
	out := &callsAnswer{}
	out.Body.Data, out.Body.NextCursor = found.Records, found.Next
	if found.Records == nil {
		out.Body.Data = []call.Record{}
	}
	return out, nil
}

// filter makes a filter of what was asked, no wider than the token reaches.
func (c *Console) filter(ctx context.Context, s Search) (cdr.Filter, error) {
	if s.End != "" && !slices.Contains(call.Ends(), call.End(s.End)) {
		return cdr.Filter{}, invalid(ctx, "query.end", "is not a way for calls to end")
	}
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		return cdr.Filter{}, invalid(ctx, "query.to", "must be after from")
	}
	f := cdr.Filter{From: s.From, To: s.To, Queue: call.QueueID(s.Queue), Agent: call.AgentID(s.Agent),
		End: call.End(s.End), Recording: call.RecordingState(s.Recording),
		MinWaiting: time.Duration(s.MinWaiting) * time.Second, MinTalking: time.Duration(s.MinTalking) * time.Second}
	v := visitOf(ctx)
	if v.reach == city {
		return f, nil
	}
	if f.Agent != "" && f.Agent != v.token.Agent {
		return cdr.Filter{}, problem(ctx, http.StatusForbidden)
	}
	f.Agent = v.token.Agent
	if today := startOfDay(c.cfg.Now(), c.zone(v.token.City)); f.From.Before(today) {
		f.From = today
	}
	return f, nil
}

func (c *Console) getCall(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64"`
}) (*callAnswer, error) {
	v := visitOf(ctx)
	r, err := c.deps.Calls.Get(ctx, v.token.City, call.ID(in.ID))
	if err != nil {
		return nil, c.fail(ctx, "read a call", err)
	}
	if !c.mayRead(v, r) {
		return nil, problem(ctx, http.StatusNotFound) // whether there is such a call is not theirs to know
	}
	return &callAnswer{Body: r}, nil
}

// mayRead tells whether a call is within a visit's reach: of its city, and for an agent their own of today.
func (c *Console) mayRead(v visit, r call.Record) bool {
	if r.City != v.token.City {
		return false
	}
	today := startOfDay(c.cfg.Now(), c.zone(v.token.City))
	return v.reach == city || v.reach == own && r.Agent == v.token.Agent && !r.ArrivedAt.Before(today)
}

func (c *Console) exportCalls(ctx context.Context, in *struct {
	Search
	Format string `query:"format" enum:"csv,jsonl" default:"csv"`
}) (*huma.StreamResponse, error) {
	f, err := c.filter(ctx, in.Search)
	if err != nil {
		return nil, err
	}
	format := cdr.Format(in.Format)
	kind := map[cdr.Format]string{cdr.CSV: "text/csv; charset=utf-8; header=present", cdr.JSONL: "application/jsonl"}[format]
	return c.download("calls."+in.Format, kind, func(ctx context.Context, w io.Writer) error {
		return c.deps.Calls.Export(ctx, visitOf(ctx).token.City, f, w, format)
	}), nil
}

// download streams what write writes as a file. A failure before the first byte is a problem; one after it breaks the
// connection off, so that half a file is not taken for a whole one.
func (c *Console) download(name, contentType string, write func(context.Context, io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		out := &counter{w: w}
		err := write(r.Context(), out)
		if err == nil {
			return
		}
		if out.n > 0 {
			c.cfg.Log.Warn("a download was broken off", "request_id", requestID(r.Context()), "file", name, "err", err)
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Content-Disposition")
		c.failStream(w, r, "write "+name, err)
	}}
}

// failStream answers a stream that has not begun with a problem.
func (c *Console) failStream(w http.ResponseWriter, r *http.Request, doing string, err error) {
	var p *Problem
	if !errors.As(c.fail(r.Context(), doing, err), &p) {
		p = problem(r.Context(), http.StatusInternalServerError)
	}
	write(w, p)
}

// counter counts the bytes that went through.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // or it would begin the answer, and a problem could no longer be told
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
