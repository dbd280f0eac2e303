# frozen_string_literal: true

# The stand-in without its fork detector, so that it can be loaded beside the tests of the gem's own.
require "aikido/zen/ipc/zen"

require "logger"
require "securerandom"

require_relative "zen/api_cache"
require_relative "zen/attack_wave"
require_relative "zen/collector"
require_relative "zen/rate_limiter"
require_relative "zen/runtime_settings"
require_relative "zen/worker"

module Aikido
  module Zen
    Config = Struct.new(:logger, :worker_process_polling_interval, :worker_process_polling_jitter,
                        :worker_process_heartbeat_interval, :rate_limiting_discriminator, :attack_wave_threshold,
                        keyword_init: true)

    class << self
      attr_reader :config, :api_cache, :collector, :runtime_settings, :rate_limiter, :attack_wave_detector, :server,
                  :client

      # For tests, which may run where everything takes long.
      attr_writer :client_options

      # Forgets everything. Intervals are so long that nothing happens by itself unless a test shortens them.
      def reset(logger: Logger.new($stderr, level: :warn))
        stop
        @config = Config.new(logger:, worker_process_polling_interval: 3600.0, worker_process_polling_jitter: 0.0,
                             worker_process_heartbeat_interval: 3600.0, attack_wave_threshold: 3,
                             rate_limiting_discriminator: ->(request) { request.actor&.id || request.client_ip })
        @client_options = {}
        @secret = nil
        @api_cache = ApiCache.new
        @collector = Collector.new
        @runtime_settings = RuntimeSettings.new
        @rate_limiter = RateLimiter.new
        @attack_wave_detector = AttackWave::Detector.new(@config.attack_wave_threshold)
      end

      # Is not there any more, as far as others can see.
      def leave
        stop
        @config = nil
      end

      # @return [String] made at the first use
      def secret
        @secret ||= SecureRandom.bytes(32)
      end

      # In the parent, before it forks.
      def start
        @server = WorkerProcess::Agent::Server.new
        @server.start
      end

      # In the parent, with each answer of the API.
      def fetched(config, firewall_lists)
        runtime_settings.update_from_runtime_config_json(config) if api_cache.update_runtime_config(config)
        return unless api_cache.update_runtime_firewall_lists(firewall_lists)

        runtime_settings.update_from_runtime_firewall_lists_json(firewall_lists)
      end

      # In a worker, once it was forked.
      def start_client
        @server.close
        @client&.close
        @client = WorkerProcess::Agent::Client.new(@server.host, @server.port, **@client_options)
        @client.start
      end

      def stop
        @client&.stop
        @server&.stop(timeout: 1.0)
        @client = @server = nil
      end
    end
  end
end
