# frozen_string_literal: true

# The process that stands for one peer during a run: `run.rb` starts it, and tells it over a pipe what to do.

require_relative "bench"

# What is told and asked goes over the pipe; whatever else is printed must not get between.
pipe = Bench::Pipe.new($stdin.binmode, $stdout.dup.binmode)
$stdout.reopen($stderr)

# Ctrl-C goes to all processes at once; this one ends when the pipe does, and ends what it started.
trap(:INT, :IGNORE)
peer_class = Bench::Peers.fetch(ARGV.fetch(0))
Process.setproctitle("benchmark peer: #{peer_class.title}")

if peer_class.available?
  peer = peer_class.new
  begin
    peer.start
    pipe.write(:ready)
    loop do
      command, *arguments = pipe.read
      case command
      when :carry then pipe.write(peer.carry(*arguments))
      when :publish then pipe.write(peer.publish(*arguments))
      end
    end
  rescue EOFError, Errno::EPIPE
    # Nobody asks any more.
  ensure
    peer.stop
  end
else
  pipe.write(:missing)
end
