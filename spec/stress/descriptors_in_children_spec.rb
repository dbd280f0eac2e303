# frozen_string_literal: true

require "json"

require_relative "stress_helper"

module Stress
  # Children look for sockets of their parent, which opens and closes connections meanwhile as fast as it can.
  module DescriptorsInChildren
    include Helpers

    # Threads that connect, call and disconnect meanwhile.
    CHURNERS = 3

    # Seconds for a call, and for a child to show what it has: many times what it takes on a busy machine.
    PATIENCE = 30.0

    # A program that prints every descriptor of its shell's, and an end.
    LISTING = ["sh", "-c", "readlink /proc/$$/fd/*; echo #{END_OF_LIST = "."}"].freeze

    # The name of an `epoll` instance in `/proc`: all have the same.
    POLL = "anon_inode:[eventpoll]"

    RSpec.describe "descriptors in children", :stress, number: 17, limits: { full: 600, short: 60 } do
      include DescriptorsInChildren

      it "are never sockets of the parent, neither after a fork nor after an exec" do
        @times = size(full: 100, short: 4)
        places = start_child { look_everywhere }.value(within: time_limit)
        places.each do |place, (open, connections, looks)|
          key_figure "#{place} had #{open} open and made #{connections} connections"
          expect(open).to be_positive
          expect(connections).to be > @times
          looks.each do |way, held|
            figure "#{@times} x #{way}: #{held.length} held #{held.first}".strip
            expect(held).to be_empty
          end
          held = looks.values.sum(&:length)
          key_figure "#{looks.length * @times} children of #{place} held #{held} of its #{open} descriptors"
        end
      end
    end

    # In the parent, and then in a worker of it, which has nothing of its own to be known but this pipe.
    def look_everywhere
      @reader, @writer = IO.pipe
      results, result = IO.pipe
      @known = Descriptors.of.values
      @server = Agent::Server.new(logger:)
      @server.start
      client = Agent::Client.for(@server, logger:)
      in_parent = look(client)
      forked { result.write(JSON.generate(look(client))) }
      result.close
      { "a parent" => in_parent, "a worker" => JSON.parse(results.read) }
    end

    # @return [Array] how many descriptors of the gem were open, how many connections were made meanwhile, and what
    #   children held of them
    def look(client)
      client.ping(PATIENCE)
      @ours = Descriptors.of.values - @known
      @stopped = false
      churners = Array.new(CHURNERS) { Thread.new { churn } }
      looks = { **held_after(forks, polls: @known.count(POLL)), **held_after(executions, polls: 0) }
      @stopped = true
      [@ours.length, churners.sum(&:value), looks]
    end

    # Opens and closes connections, so that a fork may fall between any two system calls of that.
    def churn
      (1..).each do |number|
        return number if @stopped

        client = Agent::Client.for(@server, logger:)
        client.ping(PATIENCE)
        client.close
      end
    end

    # @param ways [Hash{String => Proc}] how a child is made that shows what it has on the pipe
    # @param polls [Integer] how many Ruby has of its own in such a child: one from version 3.3 on, which is no exec's
    # @return [Hash{String => Array<String>}] the gem's descriptors that such children showed
    def held_after(ways, polls:)
      ways.transform_values { |way| Array.new(@times) { held_by_child(polls, &way) }.flatten }
    end

    def forks
      { "fork" => -> { forked { show } },
        "fork in a thread" => -> { Thread.new { forked { show } }.join },
        "fork without Ruby's hooks" => -> { forked { fork_without_hooks { show && 0 } } },
        "IO.popen(\"-\")" => -> { IO.popen("-") { |pipe| pipe ? pipe.read : show_and_end } },
        "Process.daemon" => -> { forked { Process.daemon(true, true) && show } } }
    end

    def executions
      { "spawn" => -> { Process.wait(spawn(*LISTING, out: @writer, close_others: false)) },
        "system" => -> { system(*LISTING, out: @writer, close_others: false) },
        "IO.popen" => -> { @writer.write(IO.popen(LISTING, close_others: false, &:read)) },
        "fork and exec" => -> { forked { exec(*LISTING, out: @writer, close_others: false) } } }
    end

    def forked
      Process.wait(fork do
        yield
      ensure
        exit!
      end)
    end

    def show
      @writer.syswrite([*Descriptors.of.values, END_OF_LIST, ""].join("\n"))
    end

    def show_and_end
      show
    ensure
      exit!
    end

    def held_by_child(polls)
      yield
      shown = []
      loop do
        raise "no list of descriptors within #{PATIENCE} s" unless @reader.wait_readable(PATIENCE)

        line = @reader.gets(chomp: true)
        return ours_of(shown, polls) if line == END_OF_LIST

        shown << line
      end
    end

    # A socket that was opened meanwhile is not known, and only the gem opens any.
    def ours_of(shown, polls)
      shown_polls, others = shown.partition { |descriptor| descriptor == POLL }
      shown_polls.drop(polls) + others.select do |descriptor|
        @ours.include?(descriptor) || (descriptor.start_with?("socket:") && !@known.include?(descriptor))
      end
    end
  end
end
