// SPDX-License-Identifier: Apache-2.0

// Package collect fetches many paths of IMDS: everything that the configuration
// includes and that the gate does not need. Requests are paced, the order is
// fixed, credentials are never requested, and every path that could not be fetched
// is named.
package collect
