package ani

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"callhall/call"
)

// The first version of the spool was one file for all cities: of each leaf a length (4 bytes, its own included), the
// length of the city's name (1), the name and the sealed leaf.

// oldSpool is where that file stands until it has been moved over.
func oldSpool(dir string) string { return dir + ".v1" }

// moveOld moves the leaves of the first version over, sealed as they are. What does not read stays, set aside. After a
// crash in between some are there twice, and are in the ledger once.
func (s *spool) moveOld() error {
	b, err := os.ReadFile(oldSpool(s.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for len(b) > 0 {
		city, record, n, err := readOld(b)
		if err != nil {
			kept := filepath.Join(s.dir, fmt.Sprintf("v1%s.aside-%d", s.sort.ext, time.Now().UnixNano()))
			if err := os.Rename(oldSpool(s.dir), kept); err != nil {
				return err
			}
			s.setAside(kept, fmt.Errorf("%w: its last %d bytes", err, len(b)))
			return errors.Join(syncDir(s.dir), syncDir(filepath.Dir(s.dir)))
		}
		f, err := s.file(city)
		if err == nil {
			err = f.add(frame(nil, record), 1)
		}
		if err != nil {
			return fmt.Errorf("move the old spool over: %w", err)
		}
		b = b[n:]
	}
	return errors.Join(os.Remove(oldSpool(s.dir)), syncDir(filepath.Dir(s.dir)))
}

// readOld returns the first leaf of the old file. Errors: ErrDamaged.
func readOld(b []byte) (city call.CityID, sealed []byte, n int, err error) {
	if len(b) < 6 {
		return "", nil, 0, ErrDamaged
	}
	n = int(binary.BigEndian.Uint32(b))
	name := int(b[4])
	if n < 5+name || n > maxRecord || n > len(b) {
		return "", nil, 0, ErrDamaged
	}
	return call.CityID(b[5 : 5+name]), b[5+name : n], n, nil
}
