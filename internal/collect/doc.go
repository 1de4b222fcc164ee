// SPDX-License-Identifier: Apache-2.0

// Package collect fetches all paths of IMDS that the configuration includes, after the
// gate is decided. Requests are paced and their order is fixed. Credentials are never
// requested, and every path that could not be fetched is reported.
package collect
