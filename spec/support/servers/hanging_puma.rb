# frozen_string_literal: true

# For configurations of Puma. With this gem or without it, a worker of Puma 6.6.0 (Debian 13) or 8.0.2 sometimes never
# ends on Ruby 3.3: its parent sends TERM again and again, and one may come while the worker closes the pipe that tells
# its server of it (https://github.com/puma/puma/pull/3940). Puma kills such a worker after 30 seconds.
#
# Here it does so within `Firewall::ServerProcess::STOP_TIMEOUT`, but not before the second TERM, which comes after 5
# seconds in a phased restart and which a worker needs that had just booted when the first one came. Not for other
# versions, so that a worker that does not end there is noticed.
worker_shutdown_timeout 8 if %w[6.6.0 8.0.2].include?(Puma::Const::PUMA_VERSION)
