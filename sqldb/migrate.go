package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"
)

// storeName is what a store may be called: the name becomes part of a table's name.
var storeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// Migrate brings the tables of the store called name up to date with the files in fsys ("0001_first.sql", in goose's
// form, at its root). What has been applied is remembered in the table name_migrations. It only ever goes forward.
// Errors: ErrNewer, when the file knows a migration that fsys does not.
func (db *DB) Migrate(ctx context.Context, name string, fsys fs.FS) error {
	if !storeName.MatchString(name) {
		return fmt.Errorf("migrate %s: %q is not a store's name", db.path, name)
	}
	// goose wants a pool of its own, and the writer's has room for one connection only.
	pool, err := sql.Open("sqlite", db.dsn)
	if err != nil {
		return fmt.Errorf("migrate %s of %s: %w", name, db.path, err)
	}
	if err := errors.Join(migrate(ctx, pool, name, fsys), pool.Close()); err != nil {
		return fmt.Errorf("migrate %s of %s: %w", name, db.path, err)
	}
	return nil
}

func migrate(ctx context.Context, pool *sql.DB, name string, fsys fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, fsys,
		goose.WithTableName(name+"_migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: it is at %d, this program knows %d", ErrNewer, have, want)
	}
	_, err = p.Up(ctx)
	return err
}
