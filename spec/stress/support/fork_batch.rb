# frozen_string_literal: true

module Stress
  # Many children, some of them at a time, each of which makes one call under a watchdog.
  class ForkBatch
    # Seconds that a child has for everything, and then the kernel kills it.
    WATCHDOG = 5

    # Seconds after which a child counts as hanging whose watchdog could not even be set.
    LONGEST_LIFE = 4 * WATCHDOG

    # Seconds of a child's call: longer than the watchdog, so that what hangs is called so.
    CALL_TIMEOUT = 2.0 * WATCHDOG

    # Children that live at the same time: more than there are processors, and no fork bomb.
    AT_ONCE = 8

    # How a child ends.
    OUTCOMES = { 0 => :right, 1 => :crossed, 2 => :raised, 3 => :sockets }.freeze
    private_constant :LONGEST_LIFE, :CALL_TIMEOUT, :AT_ONCE, :OUTCOMES

    # @return [Hash{Symbol => Integer}] children by how they ended: `:right`; `:crossed`, with another's answer;
    #   `:raised`; `:sockets`, with one that they inherited; `:hung`
    attr_reader :outcomes

    # @return [Float] seconds that the slowest call took
    attr_reader :slowest

    # @param client [Agent::Client]
    # @param sockets [Array<String>] that a child may have, as {Descriptors} name them
    def initialize(client, sockets:)
      @client = client
      @sockets = sockets
      @outcomes = Hash.new(0)
      @slowest = 0.0
      IntervalTimer.arm
    end

    # @param count [Integer] forks
    # @return [self]
    def run(count)
      @reader, @writer = IO.pipe
      living = []
      count.times do |number|
        living << Process.detach(fork { exit!(live(number)) })
        bury(living.shift) if living.length >= AT_ONCE
      end
      living.each { |child| bury(child) }
      self
    ensure
      [@reader, @writer].each(&:close)
    end

    private

    # In a child.
    #
    # @return [Integer] of {OUTCOMES}
    def live(number)
      IntervalTimer.kill_after(WATCHDOG)
      started_at = Latency.now
      value = [Process.pid, number]
      answer = @client.invoke("echo", CALL_TIMEOUT, value)
      @writer.syswrite([Latency.now - started_at].pack("d"))
      return 1 unless answer == value

      # Its own connection, and none of another's.
      (Descriptors.of.values.grep(/\Asocket:/) - @sockets).length == 1 ? 0 : 3
    rescue StandardError
      2
    end

    def bury(child)
      status = child.join(LONGEST_LIFE)&.value
      Process.kill(:KILL, child.pid) unless status
      outcome = OUTCOMES.fetch(status&.exitstatus, :hung)
      @outcomes[outcome] += 1
      @slowest = [@slowest, @reader.readpartial(8).unpack1("d")].max unless %i[raised hung].include?(outcome)
    end
  end
end
