# frozen_string_literal: true

# Why a server rejected connections, as its log says it: of the first ones in a line for each, of more in one line by
# reason, ten seconds later at most.
module Rejections
  # That of a client which was not greeted for so long, on a host this busy, that it has made another connection.
  GAVE_UP = /the connection (?:ended|broke) during the handshake/

  # What the line of such a connection has.
  LINE = / was rejected: #{GAVE_UP} \(/
  private_constant :GAVE_UP, :LINE

  # @param log [String] of the server
  # @return [Integer] of how many connections it says that
  def self.given_up(log)
    log.scan(LINE).length + log.scan(/ (\d+) x #{GAVE_UP}/).flatten.sum { |count| Integer(count) }
  end

  # @param log [String] of the server
  # @return [String] what else it says
  def self.without_given_up(log)
    log.lines.grep_v(LINE).join
  end
end
