package cdr

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	"callhall/call"
)

// Filter says which records are wanted. Zero fields want everything. There is no field for a caller's number
// (RULES.md D36).
type Filter struct {
	From, To   time.Time    // arrived at From or after and before To, in whole microseconds
	Queue      call.QueueID // the queue it was routed to
	Agent      call.AgentID // the last agent who spoke with the caller
	End        call.End
	Recording  call.RecordingState
	MinWaiting time.Duration // waited at least this long
	MinTalking time.Duration // talked at least this long
}

// Position is a place in the order of a list: newest first by arrival, then by id. The zero Position is the beginning.
type Position struct {
	At time.Time
	ID call.ID
}

// Page is one page of a list.
type Page struct {
	Records []call.Record
	Next    string // the cursor of the next page; empty on the last
}

// The sizes of a page, in records.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// List returns the city's records that match f, newest first, from cursor on (empty is the beginning). A list stays as
// it is while calls are added: what was behind a cursor stays behind it. limit 0 is DefaultLimit. Errors: ErrCursor,
// ErrLimit.
func (s *Service) List(ctx context.Context, city call.CityID, f Filter, cursor string, limit int) (Page, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > MaxLimit {
		return Page{}, ErrLimit
	}
	f = f.normal()
	from, err := s.readCursor(city, f, cursor)
	if err != nil {
		return Page{}, err
	}
	records, err := s.store.List(ctx, city, f, from, limit+1) // one more tells whether there is a next page
	if err != nil {
		return Page{}, err
	}
	if len(records) <= limit {
		return Page{Records: records}, nil
	}
	records = records[:limit]
	return Page{Records: records, Next: s.cursor(city, f, after(records))}, nil
}

// after is the position behind the last of records.
func after(records []call.Record) Position {
	last := records[len(records)-1]
	return Position{At: last.ArrivedAt, ID: last.ID}
}

// normal is f in the one form that its cursors are bound to.
func (f Filter) normal() Filter {
	f.From, f.To = utc(f.From).Truncate(time.Microsecond), utc(f.To).Truncate(time.Microsecond)
	return f
}

// cursor seals a position, bound to the city and the search that it came from.
func (s *Service) cursor(city call.CityID, f Filter, p Position) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(p.At.UnixMicro()))
	plain = append(plain, p.ID...)
	return base64.RawURLEncoding.EncodeToString(s.cursors.Seal(nil, nil, plain, search(city, f)))
}

// readCursor is the reverse of cursor. Errors: ErrCursor.
func (s *Service) readCursor(city call.CityID, f Filter, cursor string) (Position, error) {
	if cursor == "" {
		return Position{}, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return Position{}, ErrCursor
	}
	plain, err := s.cursors.Open(nil, nil, sealed, search(city, f))
	if err != nil || len(plain) <= 8 {
		return Position{}, ErrCursor
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(plain))).UTC()
	return Position{At: at, ID: call.ID(plain[8:])}, nil
}

// search is the city and the filter that a cursor belongs to.
func search(city call.CityID, f Filter) []byte {
	b, _ := json.Marshal(struct {
		City   call.CityID
		Filter Filter
	}{city, f}) // strings, numbers and times of this era always encode
	return b
}
