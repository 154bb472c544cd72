package main

// aniCmd is the privacy office at a terminal: who may have a caller's number, who asked, who got it.
type aniCmd struct {
	Release   aniReleaseCmd   `cmd:"" help:"Ask for a caller's number, approve, refuse, and see it once."`
	Consent   aniConsentCmd   `cmd:"" help:"What callers have agreed to."`
	Process   aniProcessCmd   `cmd:"" help:"Papers: subpoenas, orders, requests for records, tickets."`
	Screening aniScreeningCmd `cmd:"" help:"Callers who are screened for harassment or floods of calls."`
	Protected aniProtectedCmd `cmd:"" help:"Subjects whom a law protects."`
	Account   aniAccountCmd   `cmd:"" help:"Answer somebody who asks who has had their number."`
	Search    aniSearch       `cmd:"" help:"Find the calls of one number, for a case. The number is asked for, and not shown."`
	Handle    aniHandleCmd    `cmd:"" help:"Call a caller back without seeing their number; for agents."`
	Transfer  aniTransferCmd  `cmd:"" help:"Carry a call on to a partner; for agents."`
	Notices   aniNoticesCmd   `cmd:"" help:"What the city's owner is told of."`
	Recalls   aniRecallsCmd   `cmd:"" help:"Recipients who must no longer use a number."`
	Holders   aniHolders      `cmd:"" help:"Who holds a token of the city now."`
	Billing   aniBillingCmd   `cmd:"" help:"What was charged for and sent to carriers."`
	Keys      aniKeysCmd      `cmd:"" help:"The keys that callers' numbers are sealed under."`
	Policy    aniPolicyCmd    `cmd:"" help:"Read the terms, and ask what they decide. explain and table need no server."`
}
