package main

import "context"

// aniNoticesCmd is what the city's owner is told of.
type aniNoticesCmd struct {
	List        aniNoticesList        `cmd:"" help:"List notices, newest first."`
	Acknowledge aniNoticesAcknowledge `cmd:"" help:"Say that the owner has read a notice."`
}

// aniRecallsCmd is the messages to recipients who must no longer use a number.
type aniRecallsCmd struct {
	List      aniRecallsList      `cmd:"" help:"List recalls, newest first."`
	Delivered aniRecallsDelivered `cmd:"" help:"Say that the recipient has the message."`
}

// The registers of notices and recalls, and how their ids begin.
const (
	noticesPath = "owner-notices"
	noticeID    = "ntc"
	recallsPath = "recalls"
	recallID    = "rcl"
)

// aniNoticesList is callhall ani notices list.
type aniNoticesList struct{ aniList }

// Run lists.
func (c aniNoticesList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, noticesPath, nil, []column{{"AT", "at"}, {"ID", "id"}, {"STATE", "state"}, {"ABOUT", "about"}, {"REF", "ref"},
		{"ROW", "row"}, {"CALL", "call"}, {"TELL SUBJECT", "tell_subject"}, {"BY", "actor"}})
}

// aniNoticesAcknowledge is callhall ani notices acknowledge.
type aniNoticesAcknowledge struct{ aniEntry }

// Run acknowledges.
func (c aniNoticesAcknowledge) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, noticesPath, noticeID, "acknowledge")
}

// aniRecallsList is callhall ani recalls list.
type aniRecallsList struct{ aniList }

// Run lists.
func (c aniRecallsList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, recallsPath, nil, []column{{"AT", "at"}, {"ID", "id"}, {"STATE", "state"}, {"RELEASE", "release"},
		{"RECIPIENT", "recipient"}, {"TO", "to"}, {"BECAUSE", "because"}, {"DELIVERED", "delivered.at"}})
}

// aniRecallsDelivered is callhall ani recalls delivered.
type aniRecallsDelivered struct{ aniEntry }

// Run says that it was delivered.
func (c aniRecallsDelivered) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, recallsPath, recallID, "delivered")
}
