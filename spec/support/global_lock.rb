# frozen_string_literal: true

require "fiddle"
require "io/nonblock"

# Keeps Ruby's global lock in this process until another process lets it go, so that an example knows and does not guess
# that no other Ruby thread ran meanwhile.
class GlobalLock
  # `ssize_t read(int, void *, size_t)`, called without leaving the lock, as an extension does that computes for long.
  READ = Fiddle::Function.new(
    Fiddle.dlopen(nil)["read"], [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T], Fiddle::TYPE_SSIZE_T,
    need_gvl: true
  )
  private_constant :READ

  def initialize
    @reader, @writer = IO.pipe
    @reader.nonblock = false
    @room = Fiddle::Pointer.malloc(1, Fiddle::RUBY_FREE)
  end

  # Runs in the process that has the lock. The pipe ends when no process can release it any more.
  #
  # @return [Boolean] whether another process let go
  def hold
    @writer.close
    READ.call(@reader.fileno, @room, 1) == 1
  ensure
    @reader.close
  end

  # In another process.
  def let_go
    @writer.write("x")
  end
end
