# frozen_string_literal: true

require "fiddle"

module Stress
  # Limits the freed memory that the C library keeps for a process. Only the GNU C library has these functions; with
  # another one they do nothing.
  module Malloc
    # Options of mallopt(3) from <malloc.h>, and bytes for them: none is kept at the end of an arena, and blocks are put
    # into one up to the length that is the default, which otherwise goes up with those that are freed.
    KEEP_LITTLE = { M_TRIM_THRESHOLD: [-1, 0], M_MMAP_THRESHOLD: [-3, 128 << 10] }.freeze
    private_constant :KEEP_LITTLE

    module_function

    # From now on what is free at the end of a thread's arena is given back. Otherwise the more is kept there the larger
    # the blocks were that have been freed, whatever {give_back} is told: megabytes where calls were long.
    #
    # @return [void]
    def keep_little
      KEEP_LITTLE.each_value { |option, value| function("mallopt", [Fiddle::TYPE_INT] * 2)&.call(option, value) }
    end

    # Gives back what is free now, but for the ends of arenas.
    #
    # @return [void]
    def give_back
      function("malloc_trim", [Fiddle::TYPE_SIZE_T])&.call(0)
    end

    # Gives back Ruby's garbage as well: calls leave over ten megabytes in the arena of each thread that serves some.
    #
    # @return [void]
    def give_garbage_back
      GC.start
      give_back
    end

    # @return [Integer] bytes that this process has in memory, without garbage
    def bytes_in_use
      give_garbage_back
      ProcFs.resident_bytes("self")
    end

    def function(name, types)
      Fiddle::Function.new(Fiddle::Handle::DEFAULT[name], types, Fiddle::TYPE_INT)
    rescue Fiddle::DLError
      nil
    end
    private_class_method :function
  end
end
