package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/console/sqlstore"
	"callhall/sqldb"
)

// userCmd manages who may use the API. It works on the data directory, so it needs no server and no first token, only
// the rights of whoever owns that directory.
type userCmd struct {
	Add    userAdd    `cmd:"" help:"Let somebody in, with a first token."`
	Token  userToken  `cmd:"" help:"Make another token for somebody, in place of those they have."`
	List   userList   `cmd:"" help:"List who may use the API, and until when."`
	Revoke userRevoke `cmd:"" help:"End every token of somebody, or one token, at once."`
}

// userFlags are shared by the user verbs.
type userFlags struct {
	City string `placeholder:"ID" help:"Which city. Needed when there is more than one."`
}

// lifetime is a length of time on the command line.
type lifetime time.Duration

// UnmarshalText reads "30d" or "12h".
func (t *lifetime) UnmarshalText(text []byte) error {
	d, err := parseDuration(string(text))
	*t = lifetime(d)
	return err
}

// users is the tokens of one city in the data directory.
type users struct {
	*console.Tokens
	city CityConfig
}

// with opens the tokens of the city in question for the length of f.
func (u userFlags) with(ctx context.Context, t *terminal, f func(users) error) error {
	cfg, faults := Load(t.Config, t.Env)
	if len(faults) > 0 {
		return tellFaults(t, faults)
	}
	city, err := u.choose(cfg)
	if err != nil {
		return err
	}
	if _, err := os.Stat(string(cfg.DataDir)); err != nil {
		return fmt.Errorf("data directory %s: %w; start callhall serve once, or name the right one with --config or CALLHALL_DATA_DIR",
			cfg.DataDir, reason(err))
	}
	db, err := sqldb.Open(ctx, filepath.Join(string(cfg.DataDir), "sealed.db"), sqldb.Durable)
	if err != nil {
		return fmt.Errorf("open the tokens: %w", err)
	}
	store, err := sqlstore.New(ctx, db)
	if err == nil {
		err = f(users{console.NewTokens(store, nil), city})
	}
	return errors.Join(err, db.Close())
}

// choose finds the city that was named, or the only one.
func (u userFlags) choose(cfg Config) (CityConfig, error) {
	var ids []string
	for _, city := range cfg.Cities {
		if string(city.ID) == u.City || u.City == "" && len(cfg.Cities) == 1 {
			return city, nil
		}
		ids = append(ids, string(city.ID))
	}
	if u.City == "" {
		return CityConfig{}, badUsage{fmt.Errorf("--city: which one? %s", strings.Join(ids, ", "))}
	}
	return CityConfig{}, badUsage{fmt.Errorf("--city: no city %q%s", u.City, didYouMean(u.City, ids))}
}

// named lists the tokens of one holder that hold now, oldest first.
func (u users) named(ctx context.Context, name string) ([]console.Token, error) {
	all, err := u.List(ctx, u.city.ID)
	if err != nil {
		return nil, fmt.Errorf("list the tokens of %s: %w", u.city.ID, err)
	}
	return slices.DeleteFunc(all, func(t console.Token) bool { return t.Name != name || tokenState(t, time.Now()) != "holds" }), nil
}

// userAdd is callhall user add.
type userAdd struct {
	userFlags
	Name    string   `arg:"" help:"Whose token it is. It stands in the ledger."`
	Role    string   `required:"" enum:"agent,supervisor,privacy,records,operator" help:"agent, supervisor, privacy, records or operator."`
	Agent   string   `placeholder:"ID" help:"Which agent the holder is. Needed for --role agent."`
	Scope   []string `placeholder:"PERMISSION" help:"Narrow the role to these permissions."`
	Expires lifetime `default:"30d" help:"How long the token holds."`
	Output  string   `short:"o" placeholder:"FILE" help:"New file for the token, for its owner only, instead of standard output."`
}

// Run issues the first token of somebody.
func (c userAdd) Run(ctx context.Context, t *terminal) error {
	return c.with(ctx, t, func(u users) error {
		if err := u.knowsAgent(c.Agent); err != nil {
			return err
		}
		held, err := u.named(ctx, c.Name)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return fmt.Errorf("%s has a token in %s already; callhall user token %s makes a new one", c.Name, u.city.ID, c.Name)
		}
		wanted := console.Token{City: u.city.ID, Name: c.Name, Role: console.Role(c.Role), Agent: call.AgentID(c.Agent),
			ExpiresAt: time.Now().Add(time.Duration(c.Expires))}
		for _, p := range c.Scope {
			wanted.Scope = append(wanted.Scope, console.Permission(p))
		}
		return u.handOut(ctx, t, u.Issue, wanted, c.Output)
	})
}

// knowsAgent refuses an agent that the city does not have.
func (u users) knowsAgent(id string) error {
	if id == "" {
		return nil
	}
	var ids []string
	for _, a := range u.city.Agents {
		ids = append(ids, string(a.ID))
	}
	if !slices.Contains(ids, id) {
		return badUsage{fmt.Errorf("--agent: no agent %q in %s%s", id, u.city.ID, didYouMean(id, ids))}
	}
	return nil
}

// maker is Issue or Renew.
type maker func(ctx context.Context, wanted console.Token) (secret string, issued console.Token, err error)

// handOut makes the token and hands its secret over, the one time that it can be seen.
func (u users) handOut(ctx context.Context, t *terminal, issue maker, wanted console.Token, output string) error {
	secret, issued, err := issue(ctx, wanted)
	if err != nil {
		return err
	}
	if err := handOver(t, secret, issued, output); err != nil {
		return errors.Join(fmt.Errorf("hand over token %s, which is revoked again: %w", issued.ID, err), u.Revoke(ctx, issued.City, issued.ID))
	}
	fmt.Fprintf(t.Err, "%s may use the API of %s as %s until %s; this token is not shown again\n", issued.Name, issued.City,
		issued.Role, local(issued.ExpiresAt))
	return nil
}

// handOver writes a secret to a new file, or to standard output.
func handOver(t *terminal, secret string, issued console.Token, output string) error {
	if output != "" {
		f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f, secret)
		return errors.Join(err, f.Close())
	}
	if t.JSON {
		return json.NewEncoder(t.Out).Encode(struct {
			tokenLine
			Token string `json:"token"`
		}{lineOf(issued, time.Now()), secret})
	}
	_, err := fmt.Fprintln(t.Out, secret)
	return err
}

// userToken is callhall user token.
type userToken struct {
	userFlags
	Name    string   `arg:"" help:"Whose token it is."`
	Expires lifetime `default:"30d" help:"How long the token holds."`
	Keep    bool     `help:"Let the earlier tokens hold on, instead of ending them."`
	Output  string   `short:"o" placeholder:"FILE" help:"New file for the token, for its owner only, instead of standard output."`
}

// Run issues a token like the newest that somebody has, and ends the earlier ones.
func (c userToken) Run(ctx context.Context, t *terminal) error {
	return c.with(ctx, t, func(u users) error {
		held, err := u.named(ctx, c.Name)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return fmt.Errorf("%s has no token in %s that could be renewed; callhall user add %s --role ROLE makes one", c.Name, u.city.ID, c.Name)
		}
		wanted := slices.MaxFunc(held, func(a, b console.Token) int { return a.CreatedAt.Compare(b.CreatedAt) })
		wanted.ExpiresAt = time.Now().Add(time.Duration(c.Expires))
		if err := u.handOut(ctx, t, u.Renew, wanted, c.Output); err != nil || c.Keep {
			return err
		}
		return u.revoke(ctx, held)
	})
}

// revoke ends tokens. It goes on past one that cannot be ended.
func (u users) revoke(ctx context.Context, tokens []console.Token) error {
	var failed []error
	for _, t := range tokens {
		if err := u.Revoke(ctx, t.City, t.ID); err != nil {
			failed = append(failed, fmt.Errorf("revoke %s of %s: %w", t.ID, t.Name, err))
		}
	}
	return errors.Join(failed...)
}

// userRevoke is callhall user revoke.
type userRevoke struct {
	userFlags
	Who string `arg:"" name:"name" help:"Whose tokens, or the id of one token: tok_…"`
}

// Run ends the tokens.
func (c userRevoke) Run(ctx context.Context, t *terminal) error {
	return c.with(ctx, t, func(u users) error {
		all, err := u.List(ctx, u.city.ID)
		if err != nil {
			return fmt.Errorf("list the tokens of %s: %w", u.city.ID, err)
		}
		held := slices.DeleteFunc(all, func(t console.Token) bool {
			return t.Name != c.Who && t.ID != c.Who || tokenState(t, time.Now()) != "holds"
		})
		if len(held) == 0 {
			return fmt.Errorf("%s has no token in %s that could be revoked", c.Who, u.city.ID)
		}
		if err := u.revoke(ctx, held); err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.Err, "revoked %s of %s\n", count(len(held), "token", "tokens"), held[0].Name)
		return err
	})
}

// userList is callhall user list.
type userList struct {
	userFlags
	All bool `help:"Expired and revoked tokens too."`
}

// tokenLine is a token as it is listed. Its secret is not known to anybody but its holder.
type tokenLine struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	City      call.CityID          `json:"city"`
	Role      console.Role         `json:"role"`
	Agent     call.AgentID         `json:"agent,omitempty"`
	Scope     []console.Permission `json:"scope,omitempty"`
	CreatedAt time.Time            `json:"created_at"`
	ExpiresAt time.Time            `json:"expires_at"`
	State     string               `json:"state"` // "holds", "expired" or "revoked"
}

func lineOf(t console.Token, now time.Time) tokenLine {
	return tokenLine{t.ID, t.Name, t.City, t.Role, t.Agent, t.Scope, t.CreatedAt, t.ExpiresAt, tokenState(t, now)}
}

// tokenState says whether a token holds.
func tokenState(t console.Token, now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case !now.Before(t.ExpiresAt):
		return "expired"
	default:
		return "holds"
	}
}

// Run lists the tokens.
func (c userList) Run(ctx context.Context, t *terminal) error {
	return c.with(ctx, t, func(u users) error {
		all, err := u.List(ctx, u.city.ID)
		if err != nil {
			return fmt.Errorf("list the tokens of %s: %w", u.city.ID, err)
		}
		lines := []tokenLine{}
		for _, token := range all {
			if line := lineOf(token, time.Now()); c.All || line.State == "holds" {
				lines = append(lines, line)
			}
		}
		slices.SortStableFunc(lines, func(a, b tokenLine) int { return cmp.Compare(a.Name, b.Name) })
		return writeTokens(t, lines)
	})
}

// writeTokens writes a table or a JSON list.
func writeTokens(t *terminal, lines []tokenLine) error {
	if t.JSON {
		return json.NewEncoder(t.Out).Encode(lines)
	}
	out := tabwriter.NewWriter(t.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tROLE\tAGENT\tCITY\tUNTIL\tSTATE\tTOKEN")
	for _, l := range lines {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(l.Name), l.Role, orDash(string(l.Agent)), l.City, local(l.ExpiresAt), l.State, l.ID)
	}
	return out.Flush()
}
