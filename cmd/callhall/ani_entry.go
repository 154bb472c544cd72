package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"callhall/call"
)

// aniEntry is what every verb has that concerns one entry of a register.
type aniEntry struct {
	aniAccess
	ID string `arg:"" name:"id" help:"The entry's id, as list shows it."`
}

// answerOnce asks for what is answered once and has a number in it, over a way that nobody listens on.
func (c aniEntry) answerOnce(ctx context.Context, term *terminal, prefix, path, act string) (json.RawMessage, error) {
	if err := idOf(prefix, c.ID); err != nil {
		return nil, err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return nil, err
	}
	if err := server.sealed(); err != nil {
		return nil, err
	}
	return server.sendJSON(ctx, http.MethodPost, path+"/"+c.ID+"/"+act, nil)
}

// show writes the entry in words.
func (c aniEntry) show(ctx context.Context, term *terminal, path, prefix string) error {
	if err := idOf(prefix, c.ID); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := server.getJSON(ctx, path+"/"+c.ID, nil, &raw); err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// act does something with the entry and writes what it then is.
func (c aniEntry) act(ctx context.Context, term *terminal, path, prefix, act string) error {
	return c.do(ctx, term, http.MethodPost, path+"/"+c.ID+"/"+act, prefix, nil)
}

// remove takes the entry off its register and writes what it then is.
func (c aniEntry) remove(ctx context.Context, term *terminal, path, prefix string) error {
	return c.do(ctx, term, http.MethodDelete, path+"/"+c.ID, prefix, nil)
}

func (c aniEntry) do(ctx context.Context, term *terminal, method, path, prefix string, body any) error {
	if err := idOf(prefix, c.ID); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, method, path, body)
	if err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// enter makes a new entry and writes it.
func (o aniAccess) enter(ctx context.Context, term *terminal, role, path string, body any) error {
	server, err := o.open(term, role)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// enterNumber makes a new entry with a number in it, read without anybody seeing it. The link is looked at before.
func (o aniAccess) enterNumber(ctx context.Context, term *terminal, path string, number numberFlags, body func(typed) any) (json.RawMessage, error) {
	server, err := o.open(term, aniRole)
	if err != nil {
		return nil, err
	}
	if err := server.sealed(); err != nil {
		return nil, err
	}
	n, err := number.read(ctx, term)
	if err != nil {
		return nil, err
	}
	return server.sendJSON(ctx, http.MethodPost, path, body(n))
}

// idOf refuses what is no id of a kind: nothing else becomes a part of an address.
func idOf(prefix, id string) error {
	if call.ValidID(prefix, id) {
		return nil
	}
	return badUsage{fmt.Errorf("%q is not an id of this kind: they begin with %s_, and list shows them", id, prefix)}
}

// callsOf refuses what is no call's id.
func callsOf(ids ...string) error {
	for _, id := range ids {
		if !call.ValidID("cl", id) {
			return badUsage{fmt.Errorf("%q is not a call's id; records list shows them", id)}
		}
	}
	return nil
}

// stateQuery is the filter of a list by state.
func stateQuery(state string) url.Values {
	if state == "" {
		return nil
	}
	return url.Values{"state": {state}}
}
