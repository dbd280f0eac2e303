# frozen_string_literal: true

# The process of one contender during a run. `run.rb` starts it and sends it requests over a pipe.

require_relative "bench"

# Standard output is the pipe, so anything else that is printed goes to standard error.
pipe = Bench::Pipe.new($stdin.binmode, $stdout.dup.binmode)
$stdout.reopen($stderr)

# Ctrl-C goes to all processes at once. This one ignores it: it ends with the pipe, and ends the processes it started.
trap(:INT, :IGNORE)
contender_class = Bench::Contenders.fetch(ARGV.fetch(0))
Process.setproctitle("benchmark contender: #{contender_class.title}")

if contender_class.available?
  contender = contender_class.new
  begin
    contender.start
    pipe.write(:ready)
    loop do
      command, *arguments = pipe.read
      case command
      when :run then pipe.write(contender.run(*arguments))
      when :publish then pipe.write(contender.publish(*arguments))
      end
    end
  rescue EOFError, Errno::EPIPE
    # The benchmark has ended.
  ensure
    contender.stop
  end
else
  pipe.write(:missing)
end
