package main

// aniCmd is the privacy office at a terminal: who may have a caller's number, who asked, who got it.
type aniCmd struct {
	Policy aniPolicyCmd `cmd:"" help:"Read the terms, and ask what they decide. explain and table need no server."`
}
