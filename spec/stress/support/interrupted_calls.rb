# frozen_string_literal: true

require "timeout"

module Stress
  # Calls that are interrupted at random moments, from several threads at once, and what became of each.
  class InterruptedCalls
    # Is no StandardError, so that nothing on the way rescues it.
    class Interruption < Exception; end

    # Seconds of a call: many times what it takes on a busy machine. Nothing here is to end by it.
    TIMEOUT = 60.0

    # Powers of ten, of seconds: from before a call has connected to after a large message has come back. As many
    # interrupts come in each power.
    MOMENTS = (-5.0..-2.5)

    # Bytes of every so many-th call's argument: an interrupt also falls into the middle of a frame, in both directions.
    LARGE = "x" * 400_000
    LARGE_EVERY = 16

    # Every so many-th call is of a method that takes its time.
    SLOW_EVERY = 3
    private_constant :TIMEOUT, :MOMENTS, :LARGE, :LARGE_EVERY, :SLOW_EVERY

    # How a call may be interrupted, or not.
    KINDS = %i[kill timeout raise].freeze

    # @return [Hash{Symbol => Hash{Symbol => Integer}}] for each of the kinds how many calls were `:right`,
    #   `:interrupted`, `:crossed`, or ended with an error, by its class
    attr_reader :outcomes

    # @return [Hash{Symbol => Integer}] the same of the calls that followed an interrupted one
    attr_reader :next_calls

    # @param client [Agent::Client]
    # @param kinds [Array<Symbol>] of {KINDS}; `:none` for calls that are left alone
    def initialize(client, kinds)
      @client = client
      @kinds = kinds
      @outcomes = kinds.to_h { |kind| [kind, Hash.new(0)] }
      @next_calls = Hash.new(0)
      @numbers = Thread::Queue.new
      @tallying = Mutex.new
    end

    # Makes calls; the calling thread is one of the callers, for it is the one that gets signals.
    #
    # @param count [Integer] calls in all, those that follow an interrupted one not counted
    # @param threads [Integer]
    # @return [self]
    def run(count, threads)
      count.times { |number| @numbers << number }
      @numbers.close
      others = Array.new(threads - 1) { Thread.new { call_all } }
      call_all
      others.each(&:value)
      self
    end

    private

    def call_all
      random = Random.new
      while (number = @numbers.pop)
        kind = @kinds.sample(random:)
        outcome = interrupted_call(kind, number, 10**random.rand(MOMENTS))
        following = outcome == :interrupted ? outcome_of(-number) : nil
        @tallying.synchronize do
          @outcomes[kind][outcome] += 1
          @next_calls[following] += 1 if following
        end
      end
    end

    def interrupted_call(kind, number, moment)
      case kind
      when :kill then killed(number, moment)
      when :timeout then timed_out(number, moment)
      when :raise then raised_at(number, moment)
      else outcome_of(number)
      end
    end

    def killed(number, moment)
      outcome = :interrupted
      victim = Thread.new { outcome = outcome_of(number) }
      sleep(moment)
      victim.kill.join
      outcome
    end

    def timed_out(number, moment)
      Timeout.timeout(moment) { outcome_of(number) }
    rescue Timeout::Error
      :interrupted
    end

    def raised_at(number, moment)
      victim = Thread.current
      Thread.handle_interrupt(Interruption => :never) do
        other = Thread.new { sleep(moment) && victim.raise(Interruption) }
        outcome = until_interruption { outcome_of(number) }
        other.kill.join
        # It may have come after the answer.
        until_interruption { Thread.pass }
        outcome
      end
    end

    def until_interruption(&)
      Thread.handle_interrupt(Interruption => :immediate, &)
    rescue Interruption
      :interrupted
    end

    # @return [Symbol, String] an error's class, where it ended with one
    def outcome_of(number)
      value = [number, (LARGE if (number % LARGE_EVERY).zero?)]
      name = (number % SLOW_EVERY).zero? ? "slow" : "echo"
      @client.invoke(name, TIMEOUT, value) == value ? :right : :crossed
    rescue Timeout::Error
      raise
    rescue StandardError => e
      e.class.name
    end
  end
end
