package console_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"callhall/ani"
	"callhall/call"
	"callhall/console"
)

// Append implements ani.Ledger.
func (b *behind) Append(_ context.Context, city call.CityID, leaf call.Leaf) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.noLeaf == nil {
		b.leaves, b.cities = append(b.leaves, leaf), append(b.cities, city)
	}
	return b.noLeaf
}

// Place implements console.Book.
func (b *behind) Place(context.Context, call.CityID) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strconv.Itoa(len(b.leaves)), b.noLeaf
}

// Holds implements console.Book.
func (b *behind) Holds(_ context.Context, city call.CityID, place, kind, name, value string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, err := strconv.Atoi(place)
	if err = errors.Join(err, b.noLeaf); err != nil {
		return false, err
	}
	for i, leaf := range b.leaves[from:] {
		if b.cities[from+i] == city && leaf.Kind == kind && leaf.Facts[name] == value {
			return true, nil
		}
	}
	return false, nil
}

// Handling implements ani.Calls.
func (b *behind) Handling(_ context.Context, city call.CityID, id call.ID) (ani.Handling, error) {
	r, err := b.call(city, id)
	if err != nil {
		return ani.Handling{}, ani.ErrNotFound
	}
	live := r.EndedAt.IsZero()
	return ani.Handling{Agents: []call.AgentID{r.Agent}, Queue: r.Queue, Trunk: r.Trunk, Live: live, Dropped: !live, EndedAt: r.EndedAt}, nil
}

// partners are those of the city demo.
func partners(city call.CityID) []call.Partner {
	if city != "demo" {
		return nil
	}
	return []call.Partner{{ID: "water", Kind: call.PartnerCity, Name: "Water Board"}, {ID: "power", Kind: call.PartnerPrivate, Name: "Power Company"}}
}

// set keeps a call that goes on, or has just ended.
func (b *behind) set(r call.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live == nil {
		b.live = map[call.ID]call.Record{}
	}
	b.live[r.ID] = r
}

// Look implements console.Board.
func (b *behind) Look(_ context.Context, city call.CityID, id call.ID) (call.Record, error) {
	r, err := b.call(city, id)
	if err == nil && !r.EndedAt.IsZero() {
		err = call.ErrUnknownCall
	}
	return r, err
}

func (b *behind) call(city call.CityID, id call.ID) (call.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.live[id]
	if !ok || r.City != city {
		return call.Record{}, call.ErrUnknownCall
	}
	return r, nil
}

// Transfer implements console.Board.
func (b *behind) Transfer(ctx context.Context, o call.TransferOrder) error {
	return b.order(ctx, o.City, o.Call, o.Agent, o)
}

// cancelled is what CancelTransfer was told.
type cancelled struct {
	City  call.CityID
	Call  call.ID
	Agent call.AgentID
	By    string
}

// CancelTransfer implements console.Board.
func (b *behind) CancelTransfer(ctx context.Context, city call.CityID, id call.ID, agent call.AgentID, by string) error {
	return b.order(ctx, city, id, agent, cancelled{city, id, agent, by})
}

func (b *behind) order(ctx context.Context, city call.CityID, id call.ID, agent call.AgentID, order any) error {
	r, err := b.Look(ctx, city, id)
	if err == nil && r.Agent != agent {
		err = call.ErrNotYours
	}
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.orders = append(b.orders, order)
	}
	return err
}

// CallBack implements console.Board.
func (b *behind) CallBack(_ context.Context, o call.CallBackOrder) (call.ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, o)
	return "cl_callback", nil
}

// tiles stands in for what strangers may see of the ledgers.
func (b *behind) tiles(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/ledger/demo/") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	io.WriteString(w, "public "+r.URL.Path)
}

// Consistency implements console.Ledger.
func (b *behind) Consistency(_ context.Context, city call.CityID, from, to int64) ([]byte, error) {
	if from > 7 || to > 7 {
		return nil, console.ErrNotFound
	}
	return []byte(`{"from":1,"to":7}`), b.known(city)
}

// Rotate implements console.Ledger.
func (b *behind) Rotate(_ context.Context, city call.CityID, actor string) (string, error) {
	b.told("rotated by " + actor)
	return "callhall/ledger/demo+11111111+BBBB", b.known(city)
}

// Succeed implements console.Ledger.
func (b *behind) Succeed(_ context.Context, city call.CityID, actor, reason string) (string, error) {
	if reason == "healthy" {
		return "", console.ErrConflict
	}
	if reason == "refused" {
		return "", console.ErrRefused
	}
	b.told("succeeded by " + actor + ": " + reason)
	return "demo/2", b.known(city)
}

// told keeps an order.
func (b *behind) told(what any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, what)
}

// refusing is a switchboard that takes no transfer to some partners.
type refusing struct {
	console.Board
	why map[call.PartnerID]error
}

// Transfer implements console.Board.
func (r refusing) Transfer(ctx context.Context, o call.TransferOrder) error {
	if err := r.why[o.Partner]; err != nil {
		return err
	}
	return r.Board.Transfer(ctx, o)
}
