# frozen_string_literal: true

require "fiddle"

module Stress
  # The operating system's own timers, which do not need the process they concern to be able to do anything.
  module IntervalTimer
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

    # Sends SIGALRM to this process again and again. What it does then is for the caller to `trap`.
    #
    # @param seconds [Numeric] between two of them; 0: no more
    # @return [void]
    def every(seconds)
      # Two `struct timeval`: the interval, and the time until the first.
      interval = [seconds.to_i, (seconds % 1 * 1_000_000).to_i]
      SETITIMER.call(ITIMER_REAL, (interval * 2).pack("l!4"), nil)
    end
  end
end
