// Package stir checks and makes the signatures by which carriers vouch for a caller's number: STIR (RFC 8224, 8225, 8226,
// 8946) and SHAKEN (RFC 8588, ATIS-1000074, ATIS-1000080).
//
// # What it is for
//
// A carrier puts a signed token, a PASSporT, into the Identity header of an INVITE: this number calls that one, at this
// time, and I know the customer this well (attestation A, B or C). Verify says whether to believe it. A city answers its
// callers all the same: no outcome refuses a call or changes its place in a queue. Whoever releases a caller's number says
// "unverified" with it where the outcome is anything but passed.
//
// # Whose digits are where
//
// The package knows no caller's number and keeps none. The token, which names the caller, lives as long as one Verify. It is
// compared by a function of whoever holds the number (Claim.Caller); where a number has to be put into a token that is
// rebuilt or signed, it is lent for that moment (Claim.Lend, Order.Lend). Results, errors, logs and metrics hold none;
// addresses of certificates, which a stranger chooses, are remembered as hashes. Numbers that were dialled are the city's
// own and no secret.
//
// # What a token has to pass
//
// In this order, so that what cannot be this call's costs no fetch: size; form (strict base64url, each JSON member once,
// header and token agreeing on certificate and kind); algorithm ES256; freshness; caller; dialled number, directly or over
// a chain of div tokens; the certificate's address; fetching it; its profile (P-256, digital signature, no authority); its
// validity at the time of the call; a chain to the configured roots; its TNAuthList, and each one above it; revocation
// lists; and the signature.
//
// # Fetching what a stranger names
//
// Certificates are fetched by HTTPS on ports 443 and 8443, from public addresses alone, looked at after the name has been
// resolved and dialled as looked at. No redirect is followed, nothing is unpacked, 64 KiB and one second are the limits.
// What came is kept as long as the server allows, between a minute and a day; what failed is left alone for a minute. Calls
// that want the same certificate wait for one fetch, each for Config.Wait at most.
//
// docs/stir.md is for operators: configuration, what each result means, and where we differ from the standards.
package stir
