package recording

import (
	"errors"
	"os"
)

// Flush is one round of the flusher, for tests that do not wait for it.
func (s *Service) Flush() error { return s.flush() }

// BreakDisk makes the next write to the spool fail; what is there can still be read.
func (s *Service) BreakDisk() error {
	f := s.spool.current.file
	readOnly, err := os.Open(f.Name())
	s.spool.current.file = readOnly
	return errors.Join(err, f.Close())
}
