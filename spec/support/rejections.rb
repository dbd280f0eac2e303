# frozen_string_literal: true

# Why a server rejected connections, as its log says it: of the first ones in a line for each, of more in one line by
# reason, ten seconds later at most.
module Rejections
  # That of a client which was not greeted for so long, on a host this busy, that it has made another connection.
  GAVE_UP = /the connection (?:ended|broke) during the handshake/

  # @param log [String] of the server
  # @return [Integer] of how many connections it says that
  def self.given_up(log)
    log.scan(/ was rejected: #{GAVE_UP} \(/).length +
      log.scan(/ (\d+) x #{GAVE_UP}/).flatten.sum { |count| Integer(count) }
  end

  # @param log [String] of the server
  # @return [String] what else it says
  def self.without_given_up(log)
    log.lines.grep_v(/ was rejected: #{GAVE_UP} \(/).join
  end
end
