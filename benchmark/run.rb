# frozen_string_literal: true

# The benchmark: it measures the cost of a call, beside other ways to make one. `bin/bench` starts it.

require_relative "bench"

begin
  options = Bench::Options.new(ARGV)
rescue OptionParser::ParseError => e
  warn "bin/bench: #{e.message}", Bench::Options::USAGE
  exit 2
end

if options.help?
  puts Bench::Options::USAGE
  exit
end

Dir.chdir(File.expand_path("..", __dir__))
system("bin/setup", "--bench", exception: true)
system("rake", "--silent", "bench:build", exception: true)
begin
  puts Bench::Run.new(options).run
rescue Interrupt
  abort "bin/bench: interrupted"
end
