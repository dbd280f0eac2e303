# frozen_string_literal: true

module Bench
  # One run: peers are started, each round measures everything in turns, and what came of it is written.
  class Run
    attr_reader :options, :peers, :results

    def initialize(options)
      @options = options
      @results = Results.new
      @peers = []
    end

    # @return [String] the report's path
    def run
      @started_at = Time.now
      start_peers
      sections = options.sections.map { |name| Sections::ALL.fetch(name).new(self) }
      options.rounds.times do |round|
        sections.each do |section|
          say "round #{round + 1} of #{options.rounds}: #{section.title}"
          section.measure(round)
        end
      end
      stop_peers
      Report.new(self, sections, Time.now - @started_at).write
    ensure
      stop_peers
    end

    # Peers that are there, another one first in each round, so that none always follows the same other.
    #
    # @param names [Array<String>] of those that are wanted
    def each_peer(round, names = Peers::ALL.keys, &)
      peers.select { |peer| names.include?(peer.name) }.rotate(round).each(&)
    end

    # Measures loads, one after the other, with each peer in turns.
    def carry(round, loads, names = Peers::ALL.keys)
      loads.each do |load|
        carried = options.pick(load, load.hurried)
        each_peer(round, names) { |peer| results.add(peer.name, load, peer.carry(carried)) }
      end
    end

    # @return [Array<String>] names of peers that were left out
    def missing
      Peers::ALL.keys - peers.map(&:name)
    end

    # Tells whoever waits for it.
    def say(text)
      warn format("%<seconds>4d s  %<text>s", seconds: Time.now - @started_at, text:)
    end

    private

    def start_peers
      Peers::ALL.each_key do |name|
        peer = PeerProcess.new(name)
        if peer.present?
          @peers << peer
        else
          peer.stop
          say "left out: #{peer.title}; it needs #{Peers.fetch(name).package}"
        end
      end
    end

    def stop_peers
      @peers.each(&:stop) unless @peers_stopped
      @peers_stopped = true
    end
  end
end
