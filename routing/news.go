package routing

import (
	"time"

	"callhall/call"
)

// tellFirst tells a call of this node its place when it has just got one. The mutex is held.
func (c *city) tellFirst(id call.ID, now time.Time) {
	t, s := c.tickets[id], c.board.seats[id]
	if t == nil || s == nil || t.news != 0 || s.Only != "" {
		return
	}
	c.tell(t, c.board.lines[s.Queue].order.rank(keyOf(s.Place))+1, now)
}

// tell puts a place into a call's inbox. When there is no room, the place counts as not told.
func (c *city) tell(t *ticket, place int, now time.Time) {
	if t.in.TryPut(call.Placed{Queue: t.place.Queue, Place: place}) {
		t.news, t.told = place, now
	}
}

// tellPlaces tells this node's calls their new places, in queues where places have moved, each call at most once in
// newsEvery. It returns when there is more to tell; zero is never.
func (c *city) tellPlaces(now time.Time) (next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.board.moved {
		if !now.Before(l.newsAt) {
			l.newsAt = now.Add(newsEvery)
			if !c.tellLine(l, now) {
				delete(c.board.moved, l)
				continue
			}
		}
		next = earlier(next, l.newsAt)
	}
	return next
}

// tellLine goes along a queue once and reports whether somebody could not be told yet.
func (c *city) tellLine(l *line, now time.Time) (more bool) {
	place := 0
	for key := range l.order.all() {
		place++
		t := c.tickets[key.id]
		if t == nil || t.news == place {
			continue
		}
		if now.Sub(t.told) >= newsEvery {
			c.tell(t, place, now)
		}
		more = more || t.news != place
	}
	return more
}
