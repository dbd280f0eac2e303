# frozen_string_literal: true

require "fiddle"

module Faults
  # The operating system's own timers, which do not need the process they concern to be able to do anything.
  module Alarm
    libc = Fiddle::Handle::DEFAULT
    ALARM = Fiddle::Function.new(libc["alarm"], [Fiddle::TYPE_INT], Fiddle::TYPE_INT)
    SETITIMER = Fiddle::Function.new(libc["setitimer"], [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP],
                                     Fiddle::TYPE_INT)

    # From <sys/time.h>: real time, and SIGALRM.
    ITIMER_REAL = 0
    private_constant :ALARM, :SETITIMER, :ITIMER_REAL

    module_function

    # Lets the kernel end this process by SIGALRM, also one that hangs outside Ruby.
    #
    # @param seconds [Integer]
    # @return [void]
    def kill_after(seconds)
      arm
      ALARM.call(seconds)
    end

    # Makes SIGALRM end this process and its children, as it does before Ruby has a handler for it.
    #
    # @return [void]
    def arm
      trap("ALRM", "SYSTEM_DEFAULT")
    end

    # Sends SIGALRM to this process again and again while the block runs. What it does then is for the caller to `trap`.
    #
    # @param seconds [Float] between two of them
    # @return what the block returns
    def every(seconds)
      start_timer(seconds)
      yield
    ensure
      start_timer(0)
    end

    # Two `struct timeval`: the interval, and the time until the first.
    def start_timer(seconds)
      SETITIMER.call(ITIMER_REAL, ([seconds.to_i, ((seconds % 1) * 1_000_000).to_i] * 2).pack("l!4"), nil)
    end
    private_class_method :start_timer
  end
end
