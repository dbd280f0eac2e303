# frozen_string_literal: true

# The process that stands for one contender during a run: `run.rb` starts it, and tells it over a pipe what to do.

require_relative "bench"

# What is told and asked goes over the pipe; whatever else is printed must not get between.
pipe = Bench::Pipe.new($stdin.binmode, $stdout.dup.binmode)
$stdout.reopen($stderr)

# Ctrl-C goes to all processes at once; this one ends when the pipe does, and ends what it started.
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
    # Nobody asks any more.
  ensure
    contender.stop
  end
else
  pipe.write(:missing)
end
