package stir

import (
	"container/list"
	"crypto/sha256"
	"time"
)

// key stands for the address of a certificate. An address can hold anything, a number too, so it is not kept as it was.
type key [sha256.Size]byte

// shelf keeps a bounded number of values, each until its time; what was not used for longest makes room.
type shelf[V any] struct {
	room  int
	order list.List // of *kept[V], the last used in front
	items map[key]*list.Element
}

type kept[V any] struct {
	key   key
	value V
	until time.Time
}

func newShelf[V any](room int) *shelf[V] {
	return &shelf[V]{room: room, items: map[key]*list.Element{}}
}

func (s *shelf[V]) get(k key, now time.Time) (v V, found bool) {
	e, found := s.items[k]
	if !found {
		return v, false
	}
	item := e.Value.(*kept[V])
	if !now.Before(item.until) {
		s.drop(e)
		return v, false
	}
	s.order.MoveToFront(e)
	return item.value, true
}

func (s *shelf[V]) put(k key, v V, until time.Time) {
	if e, found := s.items[k]; found {
		s.drop(e)
	}
	for len(s.items) >= s.room {
		s.drop(s.order.Back())
	}
	s.items[k] = s.order.PushFront(&kept[V]{k, v, until})
}

func (s *shelf[V]) drop(e *list.Element) {
	delete(s.items, e.Value.(*kept[V]).key)
	s.order.Remove(e)
}
