package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"callhall/ani"
)

// aniConsentCmd is the register of what callers have agreed to.
type aniConsentCmd struct {
	Add      aniConsentAdd      `cmd:"" help:"Enter a written or affirmative consent. The number is asked for, and not shown."`
	Spoken   aniConsentSpoken   `cmd:"" help:"Enter what the caller of your live call has just said."`
	List     aniConsentList     `cmd:"" help:"List consents, newest first, without any number."`
	Show     aniConsentShow     `cmd:"" help:"Tell one consent."`
	Withdraw aniConsentWithdraw `cmd:"" help:"Withdraw a consent: what was released under it is recalled."`
}

// consentsPath is the register of consents, and consentID how its ids begin.
const (
	consentsPath = "consents"
	consentID    = "cns"
)

// aniConsentAdd is callhall ani consent add.
type aniConsentAdd struct {
	aniAccess
	numberFlags
	Kind       ani.Consent     `required:"" enum:"written,affirmative" help:"written or affirmative."`
	Subscriber string          `required:"" help:"Who agreed, by name."`
	Purposes   []ani.Purpose   `name:"purpose" required:"" help:"What for; may be given more than once."`
	Recipients []ani.Recipient `name:"recipient" required:"" help:"Who may get it; may be given more than once."`
	Parties    []string        `name:"party" help:"A recipient by name, where the paper names them; may be given more than once."`
	Evidence   string          `required:"" placeholder:"FILE" type:"existingfile" help:"The paper or form. Its SHA-256 is entered; the file stays here."`
	Kept       string          `required:"" help:"Where the city keeps it."`
	Notice     string          `help:"Version of the notice, of an affirmative consent."`
	From       moment          `placeholder:"TIME" help:"From when it holds. Default: now."`
	Until      deadline        `required:"" placeholder:"TIME" help:"Until when: 2027-01-31, 2027-01-31T08:00:00Z, or a time from now as 365d."`
}

// newConsent is a consent with the number as it was typed, which the server seals while it reads it.
type newConsent struct {
	ani.NewConsent
	Number typed `json:"number"`
}

// Run enters the consent.
func (c aniConsentAdd) Run(ctx context.Context, term *terminal) error {
	digest, err := fileDigest(c.Evidence)
	if err != nil {
		return err
	}
	from := c.From.Time
	if from.IsZero() {
		from = time.Now()
	}
	consent := ani.NewConsent{Kind: c.Kind, Subscriber: c.Subscriber, Purposes: c.Purposes, Recipients: c.Recipients, Parties: c.Parties,
		Evidence: ani.Evidence{SHA256: digest, Kept: c.Kept}, Notice: c.Notice, From: from.UTC(), Until: c.Until.UTC()}
	raw, err := c.enterNumber(ctx, term, consentsPath, c.numberFlags, func(n typed) any { return newConsent{consent, n} })
	if err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// fileDigest is the SHA-256 of a file, in hexadecimal.
func fileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read the evidence: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read the evidence: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// aniConsentSpoken is callhall ani consent spoken.
type aniConsentSpoken struct {
	aniAccess
	Call       string          `arg:"" name:"call" help:"Your call that goes on: cl_…"`
	Purposes   []ani.Purpose   `name:"purpose" required:"" help:"What for; may be given more than once."`
	Recipients []ani.Recipient `name:"recipient" required:"" help:"Who may get it; may be given more than once."`
}

// Run enters the caller's word, with an agent's token.
func (c aniConsentSpoken) Run(ctx context.Context, term *terminal) error {
	if err := callsOf(c.Call); err != nil {
		return err
	}
	return c.enter(ctx, term, agentRole, "calls/"+c.Call+"/spoken-consent", struct {
		Purposes   []ani.Purpose   `json:"purposes"`
		Recipients []ani.Recipient `json:"recipients"`
	}{c.Purposes, c.Recipients})
}

// agentRole is the role whose token the verbs show that concern an agent's own call.
const agentRole = "agent"

// aniConsentList is callhall ani consent list.
type aniConsentList struct{ aniList }

// Run lists.
func (c aniConsentList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, consentsPath, nil, []column{{"ENTERED", "entered.at"}, {"ID", "id"}, {"STATE", "state"}, {"KIND", "kind"},
		{"PURPOSES", "purposes"}, {"RECIPIENTS", "recipients"}, {"UNTIL", "until"}, {"BY", "entered.actor"}})
}

// aniConsentShow is callhall ani consent show.
type aniConsentShow struct{ aniEntry }

// Run shows.
func (c aniConsentShow) Run(ctx context.Context, term *terminal) error {
	return c.show(ctx, term, consentsPath, consentID)
}

// aniConsentWithdraw is callhall ani consent withdraw.
type aniConsentWithdraw struct{ aniEntry }

// Run withdraws.
func (c aniConsentWithdraw) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, consentsPath, consentID, "withdraw")
}
